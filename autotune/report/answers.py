"""Lines on what a configuration answers and what it keeps: fidelity, accuracy, limits, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autotune.figures import Judgement
from autotune.problem import Goal
from autotune.report import words
from autotune.results import Accuracy, Fidelity


def lines(
    fidelity: Fidelity | None,
    accuracy: Accuracy | None,
    judged: Sequence[Judgement],
    figures: Mapping[str, float],
    goal: Goal,
) -> list[str]:
    """All that is known of a configuration beside its speed."""
    found = [answers(fidelity)]
    if accuracy is not None:
        found.append(_accuracy(accuracy))
    found += [_limit(one) for one in judged if one.value is not None]
    if goal.price is not None:
        cost = words.figure("cost_per_million", figures["cost_per_million"], goal.price)
        dated = f", prices of {goal.price.date}" if goal.price.date else ""
        found.append(f"price     {cost} per million samples at {goal.price.per_hour:g} an hour{dated}")
    return found


def doubt(found: Fidelity | None) -> str:
    """What the headline says where the answers could not be judged."""
    return " (its answers are unjudged)" if found is not None and not found.judged else ""


def answers(found: Fidelity | None) -> str:
    """One line on the answers of a configuration."""
    if found is None:
        return "answers   not compared"
    if not found.judged:
        return f"answers   unjudged: {found.reason or 'with random weights outputs hardly depend on the input'}"
    error = "" if found.centred_error is None else f", error {found.centred_error:.2g} of the variation between inputs"
    same = "" if found.top1_agreement is None else f", the same class in {100 * found.top1_agreement:.0f} %"
    return (
        f"answers   cosine similarity {found.cosine_similarity:.5f} to the float32 model{error}{same} "
        f"({found.samples} samples)"
    )


def _accuracy(found: Accuracy) -> str:
    drop = words.signed(found.drop)
    return (
        f"{found.metric[:9]:9} {found.value:.4f}, the float32 model {found.reference:.4f}: "
        f"drop {drop} over {found.samples} samples"
    )


def _limit(one: Judgement) -> str:
    share = f"{100 * abs(one.excess):.0f} %"
    return f"limit     {one.words}: {f'kept, {share} inside' if one.kept else f'BROKEN, {share} beyond'}"
