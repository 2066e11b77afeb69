"""The stopping rules of the finalists' comparison: first a claim, then who is best, then that one's claim."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import elimination, outcomes, scores
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.decision import Decision
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE

SURE = 0.95
"""The two-sided confidence that few runs must have."""

LIKELY = 0.80
"""That of more: 0.90 to 0.95, with 0.99 for few runs, select no better in replayed studies, and take 40 s longer."""

LARGE = math.log(1.5)
"""A gain that is shown to be more needs no noise floor: no configuration differs from itself by so much for long."""

Decide = Callable[[Sequence[InterleavedRun]], Decision]


@dataclass(frozen=True)
class UntilClaimed:
    """Those that may still win, with the baseline, until one has a claim.

    The leader's repeat, too, unless its gain is shown to be large. None where no gain was found, once only the baseline
    is left, or where it fails: nothing can be claimed without it. Nor after `most` runs, where others are to join.
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
        return left | {BASELINE} | ({self.finalists.repeat} if self._needs_floor(runs, left) else set())

    def _needs_floor(self, runs: Sequence[InterleavedRun], left: set[str]) -> bool:
        """True if the gain of the leader may be one that a noise floor decides on."""
        leader = self.finalists.leader
        if leader not in left:
            return False
        low = scores.table(runs, [leader, BASELINE], self.confirm.confidence).difference(leader, BASELINE).low
        return self.constraints.multi_objective or low is None or low <= LARGE


@dataclass(frozen=True)
class UntilSelected:
    """The rivals without the baseline, until none is likely to be better than the best of them by what matters.

    One that is probably behind is measured no more: with fewer runs than a claim needs, for 95 %. This is asked after
    each of them, and few may agree by chance. What has a claim stays until the best of them is linked to it, unless
    that was measured with the baseline.
    """

    confirm: ConfirmRules
    decide: Decide

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        decided = self.decide(runs)
        if not decided.rivals:
            return set()
        best = max(decided.rivals, key=decided.leads.level)
        others = decided.rivals - {best}
        few = {one for one in others if self._few(decided, best, one)}
        behind = {one for one in others if self._leads(decided, best, one, SURE if one in few else LIKELY) > 0}
        near = {one for one in others - few if self._leads(decided, best, one, LIKELY) < -self.confirm.delta}
        left = (few | near) - behind
        met = decided.leads.counts(best, BASELINE)[0] > 0
        linked = met or any(not self._few(decided, best, one) for one in decided.claimed)
        links = set() if linked else decided.claimed
        return (set(decided.rivals) - behind if left else {best}) | links if left or links else set()

    def _few(self, decided: Decision, best: str, one: str) -> bool:
        """True if the two have fewer runs together than a claim needs at least."""
        return decided.leads.counts(best, one)[0] < self.confirm.runs

    def _leads(self, decided: Decision, best: str, one: str, confidence: float) -> float:
        """The lower end of the best one's lead."""
        low = decided.leads.difference(best, one, confidence).low
        return -math.inf if low is None else low


@dataclass(frozen=True)
class UntilWinnerClaimed:
    """The winner with the baseline until it has its claim, too: by way of another that needs one such run."""

    decide: Decide

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        decided = self.decide(runs)
        awaited = decided.name in decided.rivals and decided.reason is not None
        return {decided.name, BASELINE} if awaited and not outcomes.failed(runs, BASELINE) else set()
