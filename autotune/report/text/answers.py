"""Lines on what a configuration answers and what it keeps: fidelity, accuracy, limits, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metrics import METRICS
from autotune.core.answers import Accuracy, Fidelity
from autotune.core.space_types import Goal
from autotune.report.text import formatting
from autotune.space import goal_section


def lines(
    fidelity: Fidelity | None,
    accuracy: Accuracy | None,
    checks: Sequence[ConstraintCheck],
    values: Mapping[str, float],
    goal: Goal,
) -> list[str]:
    """All that is known of a configuration beside its speed."""
    found = [answers(fidelity), *_worst_part(fidelity)]
    if accuracy is not None:
        found.append(_accuracy(accuracy))
    unwritten = [one for one in checks if one.limit in goal_section.ANSWERS]
    # Of the limits that nobody wrote the nearest is enough, where answers are not the same.
    off = [one for one in unwritten if one.value is not None and one.value != METRICS[one.limit.metric].ideal]
    nearest = max(off, key=lambda one: one.violation, default=None)
    shown = [one for one in checks if one not in unwritten or one is nearest]
    found += [_limit(one, fidelity) for one in shown]
    if goal.price is not None:
        cost = formatting.metric("cost_per_million", values["cost_per_million"], goal.price)
        dated = f", prices of {goal.price.date}" if goal.price.date else ""
        found.append(f"price     {cost} per million samples at {goal.price.per_hour:g} an hour{dated}")
    return found


def doubt(found: Fidelity | None, calibrated_on: str | None = None) -> str:
    """The headline's remark where the answers could not be judged; else empty.

    `calibrated_on` are the inputs, where they could neither calibrate nor judge an int8 configuration.
    """
    if found is None or found.judged:
        return ""
    calibrated = "" if calibrated_on is None else f"calibrated on {calibrated_on}, "
    return f" ({calibrated}its answers are unjudged)"


def answers(found: Fidelity | None) -> str:
    """One line on the answers of a configuration."""
    if found is None:
        return "answers   not compared"
    if not found.judged:
        return f"answers   unjudged: {_unjudged(found)}"
    error = "" if found.centred_error is None else f"error {found.centred_error:.2g} of the variation between inputs, "
    same = "" if found.top1_agreement is None else f", the same class in {100 * found.top1_agreement:.0f} %"
    return (
        f"answers   {error}cosine similarity {found.cosine_similarity:.5f} to the float32 model{same} "
        f"({found.samples} samples)"
    )


def _worst_part(found: Fidelity | None) -> list[str]:
    """A line on the part of the answers that is furthest off; none where that is exact, or says nothing."""
    if found is None or not found.judged or found.part is None or found.part.error == 0:
        return []
    return [f"worst     {found.part.name}: error {found.part.error:.2g} (1 is as good as a guess)"]


def _accuracy(found: Accuracy) -> str:
    drop = formatting.signed(found.drop)
    return (
        f"{found.metric[:9]:9} {found.value:.4f}, the float32 model {found.reference:.4f}: "
        f"drop {drop} over {found.samples} samples"
    )


def _limit(one: ConstraintCheck, fidelity: Fidelity | None) -> str:
    if one.value is None:
        refused = "" if one.satisfied else "refused, "
        return f"limit     {formatting.bounds(one.limit)}: {refused}not judged ({_unknown(one.limit.metric, fidelity)})"
    if one.growth is not None and not one.satisfied:
        return f"limit     {one.description}: BROKEN in the end"
    share = f"{100 * abs(one.violation):.0f} %"
    return f"limit     {one.description}: {f'kept, {share} inside' if one.satisfied else f'BROKEN, {share} beyond'}"


def _unknown(name: str, fidelity: Fidelity | None) -> str:
    """The reason that a configuration has no value of a metric."""
    metric = METRICS[name]
    if metric.needs == "outputs":
        if fidelity is None:
            return "its answers were not compared"
        if not fidelity.judged:
            return _unjudged(fidelity)
    return metric.unmeasured


def _unjudged(fidelity: Fidelity) -> str:
    return fidelity.reason or "with random weights outputs hardly depend on the input"
