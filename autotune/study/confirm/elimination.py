"""The elimination of finalists while they are measured: by limits, failures, and Kim and Nelson's selection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec

from autotune.analysis import selection
from autotune.analysis.metrics import METRICS
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import outcomes, scores
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE


@dataclass(frozen=True)
class UntilSelected:
    """The stopping rule of the finalists: those that may still win, with the baseline and the leader's repeat.

    Once a claim has its runs only the finalists go on, as long as it is open which of them is the best. None once that
    is known, once only the baseline is left, or where the baseline fails: nothing can be claimed without it.
    `claimable` is true of runs after which the winner has a claim.
    """

    finalists: Finalists
    confirm: ConfirmRules
    constraints: Constraints
    claimable: Callable[[Sequence[InterleavedRun]], bool]

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        left = remaining(runs, list(self.finalists.trials), self.confirm, self.constraints)
        if left <= {BASELINE} or outcomes.failed(runs, BASELINE):
            return set()
        if not self.claimable(runs):
            repeat = {self.finalists.repeat} if self.finalists.leader in left else set()
            return left | {BASELINE} | repeat
        rivals = left - {BASELINE}
        return set() if self.constraints.multi_objective or self._selected(runs, rivals) else rivals

    def _selected(self, runs: Sequence[InterleavedRun], rivals: Collection[str]) -> bool:
        """True if all that is left is known to be as good as the best, or there is only one."""
        rates = scores.table(runs, sorted(rivals), self.confirm.confidence)
        best = max(rivals, key=rates.level)
        differences = (rates.difference(best, other) for other in rivals if other != best)
        return all(selection.verdict(one, self.confirm.delta) == "tie" for one in differences)


def remaining(
    runs: Sequence[InterleavedRun], names: Sequence[str], rules: ConfirmRules, constraints: Constraints
) -> set[str]:
    """Those of these candidates that may still win; one that was dropped never comes back.

    Of several objectives none is the one to select by: then all that run and keep the limits stay.
    """
    able = [name for name in names if not outcomes.failed(runs, name) and constraints.broken(runs, name) is None]
    current = sorted(name for name in able if not runs or name in runs[-1].spec.configs)
    if constraints.multi_objective:
        return set(current)
    rates = scores.table(runs, current, rules.confidence)
    if METRICS[constraints.goal.objectives[0]].per_start:  # one value a run
        rules = msgspec.structs.replace(rules, first_stage=rules.runs)
    surviving = selection.surviving(rates.rounds(current), rules, len(able))
    best = max(surviving, key=rates.level, default="")
    confidence = 1 - 2 * rules.alpha / max(1, len(names) - 1)
    leads = {name: rates.difference(best, name, confidence).low for name in surviving - {best}}
    return surviving - {name for name, low in leads.items() if low is not None and low > 0}
