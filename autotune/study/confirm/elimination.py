"""The elimination of finalists while they are measured: by limits, failures, intervals, and Kim and Nelson's rule."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from autotune.analysis import selection
from autotune.analysis.metrics import METRICS
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import outcomes, scores
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.names import BASELINE


def remaining(
    runs: Sequence[InterleavedRun], names: Sequence[str], rules: ConfirmRules, constraints: Constraints
) -> set[str]:
    """Those of these candidates that may still win; one that was dropped comes back only if another fails or is out.

    Dropped is what fails, breaks a limit, is eliminated by its rounds, or is shown by its runs to be behind the best
    and seems to be so by more than matters. Of several objectives none is the one to select by: then all that run and
    keep the limits stay.
    """
    able = [name for name in names if not outcomes.failed(runs, name) and constraints.broken(runs, name) is None]
    met = {name for run in runs for name in run.spec.configs}
    last = runs[-1].spec.configs if runs else {}
    outlived = any(name in last and name not in able for name in names)
    current = sorted(name for name in able if name in last or name not in met or outlived)
    if constraints.multi_objective:
        return set(current)
    rates = scores.table(runs, current, rules.confidence)
    if METRICS[constraints.goal.objectives[0]].per_start:  # one value a run
        rules = msgspec.structs.replace(rules, first_stage=rules.sure_runs)
    surviving = selection.surviving(rates.rounds(current), rules, len(able))
    best = max(surviving, key=rates.level, default="")
    if best == BASELINE and len(runs) < rules.runs:  # nobody would be left to gain anything
        return surviving
    confidence = 1 - 2 * rules.alpha / max(1, len(names) - 1)
    leads = {name: rates.difference(best, name, confidence) for name in surviving - {best}}
    return surviving - {name for name, lead in leads.items() if selection.leads_by(lead, rules.delta)}
