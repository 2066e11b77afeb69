"""The phases of a study as its display tells them: how far each is, and what is expected to be left of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from autotune.core.rules import ConfirmRules
from autotune.core.space_types import Budget
from autotune.core.specs import InterleavedSpec
from autotune.report.text import formatting

RULES = ConfirmRules()


@dataclass
class Search:
    """The search; `settles` is true of one that may end early. Of the minutes `reserved_s` are the confirmation's."""

    budget: Budget
    settles: bool
    reserved_s: float = 0.0
    predicted_s: float | None = None

    def left_s(self, elapsed_s: float) -> float | None:
        """The most seconds that the search may still take; None without minutes."""
        minutes = self.budget.minutes
        return None if minutes is None else max(0.0, minutes * 60 - self.reserved_s - elapsed_s)

    def line(self, place: str, elapsed_s: float) -> str:
        """The search's line with the running trial's place, or an empty one."""
        left_s, trials = self.left_s(elapsed_s), self.budget.trials
        early = "early " if self.budget != Budget() else ""
        begun = [f"trial {place}"] if place else []
        begun += [f"ends {early}once nothing more is to be gained"] if self.settles or not early else []
        limits = [] if trials is None else [formatting.number(trials, "trial")]
        limits += [] if left_s is None else [formatting.duration(left_s)]
        parts = [", ".join(begun)] if begun else []
        parts += [f"at most {' or '.join(limits)}"] if limits else []
        if self.reserved_s:
            parts.append(f"then at most {formatting.duration(self.reserved_s)} of confirmation")
        elif self.predicted_s:
            parts.append(f"then about {formatting.duration(self.predicted_s)} of confirmation")
        return f"search: {'; '.join(parts)}"

    def done(self, trials: int, elapsed_s: float) -> float | None:
        """The part of the search that is over, as far as the budget tells; None without one."""
        left_s = self.left_s(elapsed_s)
        parts = [] if left_s is None else [elapsed_s / (elapsed_s + left_s) if elapsed_s + left_s else 1.0]
        parts += [] if self.budget.trials is None else [trials / self.budget.trials]
        return min(max(parts), 1.0) if parts else None


@dataclass
class Part:
    """A part of the confirmation that began at `begin` and is given so many seconds; a claim rests on one of them.

    `spec` and `round_number` say where it is, once the first round has begun.
    """

    begin: float
    seconds: float
    claims: bool
    spec: InterleavedSpec | None = None
    round_number: int = 0
    first: int = field(default=1, init=False)

    def reach(self, spec: InterleavedSpec, round_number: int) -> None:
        """Be at the begin of this round."""
        self.first = spec.number if self.spec is None else self.first
        self.spec, self.round_number = spec, round_number

    def left_s(self, now: float) -> float:
        """The seconds that are expected to be left: by the pace so far, within those given."""
        elapsed_s = now - self.begin
        given_s = max(0.0, self.seconds - elapsed_s)
        if self.spec is None:
            return given_s
        begun = self.round_number / self.spec.rounds
        done = self.spec.number - self.first + begun
        missing = RULES.sure_runs + 1 - self.spec.number - begun
        return given_s if done < 1 or missing <= 0 else min(given_s, elapsed_s / done * missing)

    def line(self, now: float) -> str:
        """Its place, and what is expected to be left."""
        left = f"{'at most' if self.spec is None else 'about'} {formatting.duration(self.left_s(now))} left"
        kind = "confirmation" if self.claims else "explaining"
        if self.spec is None:
            return f"{kind}: starting, {left}"
        number = self.spec.number
        needed = f" of {RULES.runs} to {RULES.sure_runs}" if number <= RULES.runs else f" of up to {RULES.sure_runs}"
        runs = needed if self.claims and number <= RULES.sure_runs else ""
        return f"{kind}: interleaved run {number}{runs}, {left}"

    def done(self, now: float) -> float:
        """The part of it that is over."""
        elapsed_s = now - self.begin
        return elapsed_s / ((elapsed_s + self.left_s(now)) or 1.0)
