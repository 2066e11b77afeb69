"""The confirmation's word on the settings: what each is worth, and the way from the baseline to the winner.

A ratio from one interleaved run is no figure: a launch alone moves it.
"""

from __future__ import annotations

from collections.abc import Sequence

from autotune.core.confirmation import Ablation, Step
from autotune.core.estimate import Estimate
from autotune.report.text import formatting
from autotune.report.text.study_reader import Study


def worth(one: Ablation) -> Estimate | None:
    """The worth of a setting as it may be shown; None where a setting that is kept would seem to do harm."""
    return None if _harmful(one) and not one.removed else _figure(one.ratio, one.runs)


def way(study: Study) -> list[tuple[Step, Estimate | None]]:
    """The steps to the winner with their ratios over the baseline, the last one that of the winner's claim.

    None where no step before the last has a figure.
    """
    confirmation = study.confirmation
    if confirmation is None or confirmation.winner is None:
        return []
    totals = [_figure(step.total, step.runs) for step in confirmation.path]
    if not any(totals[:-1]):
        return []
    return list(zip(confirmation.path, [*totals[:-1], confirmation.winner.ratio], strict=True))


def lines(study: Study) -> list[str]:
    """Both as tables of the summary."""
    return [] if study.confirmation is None else [*_ablations(study.confirmation.ablations), *_way(study)]


def _figure(ratio: Estimate | None, runs: int) -> Estimate | None:
    """The ratio, if it has an interval over more than one run; older files do not say over how many."""
    return None if ratio is None or ratio.low is None or runs == 1 else ratio


def _harmful(one: Ablation) -> bool:
    """True if the winner seems faster without the setting."""
    ratio = _figure(one.ratio, one.runs)
    return ratio is not None and ratio.estimate < 1


def _ablations(ablations: Sequence[Ablation]) -> list[str]:
    if not ablations:
        return []
    lines = ["", "what each setting is worth: the winner with it over the winner without it"]
    for one in ablations:
        lines.append(f"{_cell(worth(one))}{formatting.change(one.setting, one.value, one.instead)}{_remark(one)}")
    return lines


def _remark(one: Ablation) -> str:
    if one.error is not None:
        return f", which could not be measured: {one.error}"
    if one.removed:
        return ": not shown to help, removed"
    if one.kept is not None:
        return f": not shown to help; kept, since {one.kept}"
    if one.resolved:
        return ""
    if one.ratio is None:
        return ": not measured, the time was used up; kept"
    if _figure(one.ratio, one.runs) is None:
        return ": not resolved by one interleaved run, kept"
    return ": not shown to help, kept" if _harmful(one) else ": not resolved, kept"


def _way(study: Study) -> list[str]:
    steps = way(study)
    if not steps:
        return []
    lines = ["", "the way from the baseline to the winner, in runs of its own; the last figure is the claim"]
    for step, total in steps:
        settings = ", ".join(f"{name} {formatting.literal(value)}" for name, value in step.settings.items())
        lines.append(f"{_cell(total)}+ {settings}{'' if _resolved(step) else ': not resolved'}")
    return lines


def _resolved(step: Step) -> bool:
    """True if a step that was measured is known to be better or worse than the one before."""
    ratio = _figure(step.ratio, step.runs)
    return ratio is not None and ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high


def _cell(ratio: Estimate | None) -> str:
    return f"  {'' if ratio is None else formatting.ratio(ratio):24} "
