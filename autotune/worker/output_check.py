"""Comparison of a configuration's outputs with the reference: wrong values end its trial, close ones are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from autotune.core.answers import Fidelity, OutputFidelity, Part
from autotune.core.outputs import label
from autotune.core.results import Status
from autotune.worker.answers import sets
from autotune.worker.answers.closeness import closeness
from autotune.worker.answers.masks import wrong_values
from autotune.worker.batches import Arrays
from autotune.worker.check_failed import CheckFailed
from autotune.worker.reference import Reference

Array = np.ndarray[Any, Any]

NOISE = 0.01
"""The centred error of a model against itself above which a comparison says nothing of a configuration."""


def compare(outputs: Arrays, reference: Reference, trained: bool, rows: Array | None = None) -> Fidelity:
    """Closeness of the outputs to the reference, the worst output in each figure.

    `rows` holds for each row of the outputs the number of the reference row that it must equal, or less than 0 where
    none is known; by default they are the reference's rows in order. CheckFailed with wrong_output, which names the
    output, on NaN, Inf where the reference is finite, a mask that is none, another shape or number of outputs.
    """
    if len(outputs) != len(reference.outputs):
        expected = f"{len(reference.outputs)}: {', '.join(reference.names)}"
        raise CheckFailed(Status.WRONG_OUTPUT, f"{len(outputs)} outputs; the reference has {expected}")
    if rows is None:
        rows = np.arange(len(reference.outputs[0]))
    for name, output, wanted in zip(reference.names, outputs, reference.outputs, strict=True):
        shape = (len(rows), *wanted.shape[1:])
        if output.shape != shape:
            raise CheckFailed(Status.WRONG_OUTPUT, f"{label(name)} has shape {output.shape}, the reference {shape}")
    ordered, moved = sets.in_order(outputs, reference.outputs, rows)
    each = []
    for place, (name, output, wanted) in enumerate(zip(reference.names, ordered, reference.outputs, strict=True)):
        compared = np.flatnonzero(rows >= 0)
        if reason := wrong_values(((output[row], wanted[rows[row]]) for row in compared), compared):
            raise CheckFailed(Status.WRONG_OUTPUT, f"{label(name)} {reason}")
        found = closeness(name, output, wanted, rows, reference.classes)
        each.append(msgspec.structs.replace(found, matched=True) if place in moved else found)
    reason = unjudged(each, reference, trained)
    return Fidelity(
        judged=reason is None,
        samples=int((rows >= 0).sum()),
        cosine_similarity=min(one.cosine_similarity for one in each),
        centred_error=_worst(max, (one.centred_error for one in each)),
        max_abs_error=max(one.max_abs_error for one in each),
        max_rel_error=_worst(max, (one.max_rel_error for one in each)),
        top1_agreement=_worst(min, (one.top1_agreement for one in each)),
        worst_channel_error=_worst(max, (one.worst_channel_error for one in each)),
        worst_sample_error=_worst(max, (one.worst_sample_error for one in each)),
        order_agreement=_worst(min, (one.order_agreement for one in each)),
        neighbours_kept=_worst(min, (one.neighbours_kept for one in each)),
        agreement=_worst(min, (one.agreement for one in each)),
        part=worst_part(one.part for one in each),
        outputs=tuple(each),
        reason=reason,
        noise=reference.noise,
    )


def unjudged(outputs: Iterable[OutputFidelity], reference: Reference, trained: bool) -> str | None:
    """Reason why the figures say nothing of a configuration, or None."""
    if not trained:
        return "with random weights outputs hardly depend on the input"
    if all(one.centred_error is None and one.agreement is None for one in outputs):
        return "the outputs do not vary between inputs"
    if reference.noise is not None and reference.noise > NOISE:
        return f"the float32 model differs from itself by {reference.noise:.1%} of the variation between inputs"
    return None


def worst_part(parts: Iterable[Part | None]) -> Part | None:
    """The part with the largest error; None without any."""
    return max((part for part in parts if part is not None), key=lambda part: part.badness, default=None)


def _worst(pick: Callable[..., float], figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return pick(known) if known else None
