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
            until = " until its time is predicted" if self.predicted_s is None else ""
            parts.append(f"at least {formatting.duration(self.reserved_s)} are kept for the confirmation{until}")
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
    """A part of the confirmation that began at `begin` and has about so many seconds; a claim rests on one of them.

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

    @property
    def run(self) -> int:
        """The number of the interleaved run that it is in, its own first one being 1; 0 before."""
        return 0 if self.spec is None else self.spec.number - self.first + 1

    @property
    def claim_missing(self) -> bool:
        """True while no more runs than a claim may need were made: earlier ones would count, too."""
        return self.claims and self.first == 1 and 0 < self.run <= RULES.sure_runs

    def left_s(self, now: float) -> float:
        """The most seconds that are expected to be left: those given, or by the pace until a claim has all its runs."""
        elapsed_s = now - self.begin
        begun = 0.0 if self.spec is None else self.round_number / self.spec.rounds
        done = self.run - 1 + begun
        if self.claim_missing and done >= 1:
            return elapsed_s / done * (RULES.sure_runs - done)
        return max(0.0, self.seconds - elapsed_s)

    def line(self, now: float) -> str:
        """Its place, and what is expected to be left; nothing once it goes on beyond that."""
        kind = "confirmation" if self.claims else "explaining"
        needed = f" of {RULES.runs} to {RULES.sure_runs}" if self.run <= RULES.runs else f" of up to {RULES.sure_runs}"
        place = f"interleaved run {self.run}{needed if self.claim_missing else ''}" if self.run else "starting"
        left_s = self.left_s(now)
        left = f", up to about {formatting.duration(left_s)} left" if left_s else ""
        return f"{kind}: {place}{left}"

    def done(self, now: float) -> float:
        """The part of it that is over."""
        elapsed_s = now - self.begin
        return elapsed_s / ((elapsed_s + self.left_s(now)) or 1.0)
