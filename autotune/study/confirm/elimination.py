"""The elimination of finalists while they are measured: by limits, failures, and Kim and Nelson's selection."""

from __future__ import annotations

from collections.abc import Sequence
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

    None once a single one is left and a claim has its runs, once only the baseline is left, or where the baseline
    fails: nothing can be claimed without it.
    """

    finalists: Finalists
    confirm: ConfirmRules
    constraints: Constraints

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        left = remaining(runs, list(self.finalists.trials), self.confirm, self.constraints)
        enough = outcomes.complete(runs, [*left, BASELINE]) >= self.confirm.runs
        selected = left <= {BASELINE} or (enough and (len(left) == 1 or self.constraints.multi_objective))
        if selected or outcomes.failed(runs, BASELINE):
            return set()
        repeat = {self.finalists.repeat} if self.finalists.leader in left else set()
        return left | {BASELINE} | repeat


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
    return selection.surviving(rates.rounds(current), rules, len(able))
