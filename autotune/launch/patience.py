"""How long workers are waited for: in all, without using CPU time, and while the user's own code runs.

That code may wait for a network, which uses no CPU time and is no hang: its time has a limit of its own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from autotune.core.rules import MeasureRules
from autotune.launch.process_tree import Activity

NOTICE_S = 30.0
"""Without work for so long, a line says so; another one each time that it has become twice as long."""


@dataclass(frozen=True)
class Setup:
    """The limits of workers that are set up, with their keys in a space file; `say` is told when none of them works.

    `model` is what the user's code builds, `key` sets the time for the rest, and a program may sleep for `sleep_s`.
    """

    model: str
    key: str
    rules: MeasureRules
    say: Callable[[str], None]
    sleep_s: float = 0.0

    @property
    def total_s(self) -> float:
        """The time for all but the user's code."""
        return self._limit_s(self.key) + self.sleep_s

    @property
    def idle_s(self) -> float:
        """The time without work."""
        return self.rules.idle_timeout_s + self.sleep_s

    def named(self, key: str) -> str:
        """A limit as a space file has it: `limits.setup_s is 240`."""
        return f"limits.{key} is {self._limit_s(key):g}"

    def _limit_s(self, key: str) -> float:
        limit: float = getattr(self.rules, f"{key.removesuffix('_s')}_timeout_s")
        return limit


class Patience:
    """The patience with workers, by their ranks, from now on; `doing` is what they are waited for."""

    def __init__(self, timeout_s: float, doing: str, setup: Setup | None) -> None:
        self.timeout_s = timeout_s
        self.doing = doing
        self.setup = setup
        self._begin = time.monotonic()
        self._building: dict[int, float] = {}
        self._built_s: dict[int, float] = defaultdict(float)
        self._activity = Activity(setup.idle_s) if setup else None
        self._quiet = Activity(NOTICE_S)
        self._quiet_since: float | None = None
        self._notice_s = NOTICE_S

    def builds(self, rank: int) -> bool:
        """True while the user's code runs in that worker, and after it has failed there."""
        return rank in self._building

    def note(self, rank: int, *, done: bool) -> None:
        """The user's code begins to run in a worker, or has returned."""
        now = time.monotonic()
        if not done:
            self._building.setdefault(rank, now)
        elif rank in self._building:
            self._built_s[rank] += now - self._building.pop(rank)
            self._activity = Activity(self.setup.idle_s) if self.setup else None  # that it waited tells nothing

    def lost(self, ranks: Iterable[int]) -> str | None:
        """Why these workers are waited for no longer: one has had its time; None as long as they have some."""
        now = time.monotonic()
        for rank in ranks:
            built_s = self._built_s[rank]
            if rank not in self._building:
                if now - self._begin - built_s > self.timeout_s:
                    limit = f"; {self.setup.named(self.setup.key)}" if self.setup else ""
                    return f"no answer within {self.timeout_s:.0f} s while {self.doing}{limit}"
            elif self.setup and built_s + now - self._building[rank] > self.setup.rules.build_timeout_s:
                limit_s, model = self.setup.rules.build_timeout_s, self.setup.model
                return f"no answer within {limit_s:.0f} s while building {model}; {self.setup.named('build_s')}"
        return None

    def idle(self, used: Mapping[int, float]) -> str | None:
        """Why workers hang, by the CPU time (s) that those without an answer have used; None as long as they do not."""
        if self.setup is None or self._activity is None or not used:
            return None
        now = time.monotonic()
        building = any(rank in self._building for rank in used)
        if not building and self._activity.idle(now, dict(used)):
            limit = self.setup.named("idle_s")
            return f"no answer and no work for {self.setup.idle_s:.0f} s while {self.doing}; {limit}"
        if not self._quiet.idle(now, dict(used)):
            self._quiet_since, self._notice_s = None, NOTICE_S
            return None
        if self._quiet_since is None:
            self._quiet_since = now - NOTICE_S
        if (quiet_s := now - self._quiet_since) >= self._notice_s:
            self._notice_s *= 2
            waiting = f"waiting for {self.setup.model}" if building else self.doing
            self.setup.say(f"still {waiting} (no CPU used for {quiet_s:.0f} s)")
        return None
