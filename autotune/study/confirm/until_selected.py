"""The stopping rules of the finalists' comparison: first a claim, then who is best, then that one's claim."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import elimination, outcomes
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.decision import Decision
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.scores import ONE_SIDED

SURE = 0.99
"""The two-sided confidence that few runs must have."""

Decide = Callable[[Sequence[InterleavedRun]], Decision]


@dataclass(frozen=True)
class UntilClaimed:
    """Those that may still win, with the baseline and the leader's repeat, until one has a claim.

    None where no gain was found, once only the baseline is left, or where it fails: nothing can be claimed without it.
    Nor after `most` runs, where others are to join.
    """

    finalists: Finalists
    confirm: ConfirmRules
    constraints: Constraints
    decide: Decide
    most: float = math.inf

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        left = elimination.remaining(runs, list(self.finalists.trials), self.confirm, self.constraints)
        if left <= {BASELINE} or outcomes.failed(runs, BASELINE) or self.decide(runs).settled or len(runs) >= self.most:
            return set()
        return left | {BASELINE} | ({self.finalists.repeat} if self.finalists.leader in left else set())


@dataclass(frozen=True)
class UntilSelected:
    """The rivals without the baseline, until none is likely to be better than the best of them by what matters.

    One that is behind for sure is measured no more: with fewer runs than a claim needs, for 99 %. This is asked after
    each of them, and few may agree by chance.
    """

    confirm: ConfirmRules
    decide: Decide

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        decided = self.decide(runs)
        if not decided.rivals:
            return set()
        best = max(decided.rivals, key=decided.leads.level)
        others = decided.rivals - {best}
        few = {one for one in others if decided.leads.counts(best, one)[0] < self.confirm.runs}
        behind = {one for one in others if self._leads(decided, best, one, SURE if one in few else ONE_SIDED) > 0}
        near = {one for one in others - few if self._leads(decided, best, one) < -self.confirm.delta}
        return set(decided.rivals) - behind if (few | near) - behind else set()

    def _leads(self, decided: Decision, best: str, one: str, confidence: float | None = None) -> float:
        """The lower end of the best one's lead."""
        low = decided.leads.difference(best, one, confidence).low
        return -math.inf if low is None else low


@dataclass(frozen=True)
class UntilWinnerClaimed:
    """The winner with the baseline, until it has its claim, too."""

    decide: Decide

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        decided = self.decide(runs)
        awaited = decided.name in decided.rivals and decided.reason is not None
        return {decided.name, BASELINE} if awaited and not outcomes.failed(runs, BASELINE) else set()
