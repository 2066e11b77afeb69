"""Comparison of a configuration's outputs with the reference: wrong values end its trial, close ones are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autotune.core.results import Fidelity, OutputFidelity, Status
from autotune.worker.batches import Arrays
from autotune.worker.check_failed import CheckFailed
from autotune.worker.output_names import label
from autotune.worker.reference import Reference

Array = np.ndarray[Any, Any]

MASKED = 1e30
"""Larger values stand for infinity: a mask is often the least number of its type."""

ROUNDING = 1e-12
"""Variation below this part of the outputs' energy is float32's rounding."""

NOISE = 0.01
"""The centred error of a model against itself above which a comparison says nothing of a configuration."""


# ---------------------------------------------------------------------------------------------------------- closeness


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
    named = zip(reference.names, outputs, reference.outputs, strict=True)
    each = tuple(closeness(name, output, expected, rows, reference.classes) for name, output, expected in named)
    reason = unjudged(each, reference, trained)
    return Fidelity(
        judged=reason is None,
        samples=int((rows >= 0).sum()),
        cosine_similarity=min(one.cosine_similarity for one in each),
        centred_error=_worst(max, (one.centred_error for one in each)),
        max_abs_error=max(one.max_abs_error for one in each),
        max_rel_error=_worst(max, (one.max_rel_error for one in each)),
        top1_agreement=_worst(min, (one.top1_agreement for one in each)),
        outputs=each,
        reason=reason,
        noise=reference.noise,
    )


def unjudged(outputs: Iterable[OutputFidelity], reference: Reference, trained: bool) -> str | None:
    """Reason why the figures say nothing of a configuration, or None."""
    if not trained:
        return "with random weights outputs hardly depend on the input"
    if all(one.centred_error is None for one in outputs):
        return "the outputs do not vary between inputs"
    if reference.noise is not None and reference.noise > NOISE:
        return f"the float32 model differs from itself by {reference.noise:.1%} of the variation between inputs"
    return None


def closeness(name: str, output: Array, reference: Array, rows: Array, classes: bool) -> OutputFidelity:
    """One output's closeness, row by row; what is masked in the reference is left out of all figures.

    `cosine_similarity` is the least over samples; `centred_error` is the error's energy over that of the variation
    between samples, each a row: that of all rows of the reference, however few are compared.
    """
    shape = (len(rows), *reference.shape[1:])
    if output.shape != shape:
        raise CheckFailed(Status.WRONG_OUTPUT, f"{label(name)} has shape {output.shape}, the reference {shape}")
    compared = np.flatnonzero(rows >= 0)
    pairs = [(output[row], reference[rows[row]]) for row in compared]
    if reason := _wrong_values(pairs, compared):
        raise CheckFailed(Status.WRONG_OUTPUT, f"{label(name)} {reason}")
    cosines, error_energy, largest_error, agreed = [1.0], 0.0, 0.0, 0
    ranked = classes and reference.ndim == 2 and reference.shape[1] >= 2 and reference.dtype.kind == "f"
    for answer_row, expected_row in pairs:
        expected, kept = _unmasked(expected_row)
        answer = np.where(kept, _flat(answer_row), 0.0)
        error = answer - expected
        error_energy += float(error @ error)
        largest_error = max(largest_error, float(np.abs(error).max(initial=0.0)))
        cosines.append(_cosine(answer, expected))
        if ranked:
            agreed += int(np.where(kept, answer, -np.inf).argmax() == np.where(kept, expected, -np.inf).argmax())
    largest = max(float(np.abs(_unmasked(row)[0]).max(initial=0.0)) for row in reference)
    varies = variation(reference)
    return OutputFidelity(
        name=name,
        cosine_similarity=min(cosines),
        centred_error=error_energy / len(pairs) / varies if varies > 0 else None,
        max_abs_error=largest_error,
        max_rel_error=largest_error / largest if largest > 0 else None,
        top1_agreement=agreed / len(pairs) if ranked else None,
    )


def variation(reference: Array) -> float:
    """The energy of the variation between samples, a row; 0 where it is no more than rounding."""
    mean = sum(_unmasked(row)[0] for row in reference) / len(reference)
    varies, energy = 0.0, 0.0
    for row in reference:
        values, _ = _unmasked(row)
        varies += float(((values - mean) ** 2).sum())
        energy += float((values**2).sum())
    return varies / len(reference) if varies > ROUNDING * energy else 0.0


def _cosine(one: Array, other: Array) -> float:
    """The cosine similarity; 1 of two rows of zeros, 0 of such a row and another."""
    norms = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if 0.0 in norms:
        return 1.0 if norms[0] == norms[1] else 0.0
    return float(one @ other) / (norms[0] * norms[1])


def _worst(pick: Callable[..., float], figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return pick(known) if known else None


# ------------------------------------------------------------------------------------------------------- wrong values


def not_a_number(output: Array) -> str | None:
    """The first NaN of an output and how many there are, in words; or None."""
    places = np.argwhere(np.isnan(output))
    return f"is nan in {_place(*places[0])}; {len(places)} values are NaN" if len(places) else None


def _wrong_values(pairs: Iterable[tuple[Array, Array]], samples: Iterable[int]) -> str | None:
    """The first wrong value of rows beside those of the reference and how many there are, in words; or None."""
    first, count = "", 0
    for sample, (answer, expected) in zip(samples, pairs, strict=True):
        if np.isfinite(answer).all() and np.abs(expected).max(initial=0) < MASKED:
            continue
        wrong = np.argwhere(_wrong(np.asarray(answer).astype(np.float64), np.asarray(expected).astype(np.float64)))
        if len(wrong) and not count:
            place = tuple(wrong[0])
            first = f"is {answer[place]:g} in {_place(sample, *place)}, where the reference is {expected[place]:g}"
        count += len(wrong)
    return f"{first}; {count} values are NaN, or infinite or unmasked where the reference is not" if count else None


def _wrong(answer: Array, expected: Array) -> Array:
    """True for each value of a row that cannot be right however near the others are.

    A masked value may be anything of the same sign that is not beyond all unmasked ones of its last axis: a masked
    score must not become the largest.
    """
    kept = np.abs(expected) < MASKED
    wrong = np.isnan(answer) | (kept & ~np.isfinite(answer))
    if kept.all():
        return np.asarray(wrong)
    highest = np.where(kept, answer, -np.inf).max(axis=-1, keepdims=True)
    lowest = np.where(kept, answer, np.inf).min(axis=-1, keepdims=True)
    alone = ~kept.any(axis=-1, keepdims=True)
    low = (answer < 0) & (alone | (answer <= highest))
    high = (answer > 0) & (alone | (answer >= lowest))
    return np.asarray(wrong | (~kept & ~np.where(expected < 0, low, high)))


def _place(sample: int, *index: int) -> str:
    return f"sample {sample}" + (f" at {[int(part) for part in index]}" if index else "")


def _flat(row: Array) -> Array:
    return np.asarray(row).astype(np.float64).ravel()


def _unmasked(row: Array) -> tuple[Array, Array]:
    """A row with 0 in place of masked values, and true where it has none."""
    values = _flat(row)
    kept = np.abs(values) < MASKED
    return np.where(kept, values, 0.0), kept
