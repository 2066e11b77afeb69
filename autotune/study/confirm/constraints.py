"""The limits of a goal, checked against what a candidate's interleaved runs show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.analysis import constraints
from autotune.analysis.constraints import ConstraintCheck
from autotune.core.results import InterleavedRun
from autotune.core.space_types import Goal
from autotune.study.confirm import aggregate


@dataclass(frozen=True)
class Constraints:
    """The limits of a goal on a study's folder; `extra_runs` are those that were made for a limit only."""

    root: Path
    goal: Goal
    confidence: float
    extra_runs: tuple[InterleavedRun, ...] = ()

    @property
    def multi_objective(self) -> bool:
        """True if there are several objectives: a front, and no single best."""
        return len(self.goal.objectives) > 1

    def checks(self, runs: Sequence[InterleavedRun], name: str, *, tried: bool = True) -> tuple[ConstraintCheck, ...]:
        """A check of each limit after these runs; none where the candidate has no block.

        A time to set up that they do not show was checked by the trial of a configuration that was `tried`.
        """
        merged = aggregate.merge(self.root, [*runs, *self.extra_runs], name, self.confidence)
        if merged is None:
            return ()
        values = merged.metrics(self.goal.price)
        limits = [one for one in self.goal.limits if not tried or one.metric != "setup_s" or one.metric in values]
        return constraints.check(limits, values)

    def broken(self, runs: Sequence[InterleavedRun], name: str, *, tried: bool = True) -> ConstraintCheck | None:
        """The limit that a candidate breaks the most; None if it keeps all."""
        if not self.goal.limits:
            return None
        worst = max(self.checks(runs, name, tried=tried), key=lambda check: check.violation, default=None)
        return None if worst is None or worst.satisfied else worst
