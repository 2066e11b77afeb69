"""The closeness of one output to the reference's: numbers by their distance, whole numbers and truths by agreement."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autotune.core.answers import OutputFidelity, Part
from autotune.core.outputs import label
from autotune.worker.answers import order, parts
from autotune.worker.answers.masks import Array, unmasked
from autotune.worker.answers.spread import Spread, spread

SHARES = 1e-3
"""Values between 0 and 1 whose sum is as near to 1 are shares of classes."""

PICTURE = 64
"""Whole numbers of one byte with as many different values are a picture's: their distance counts."""

MOST_VALUES = 2**23
"""Of larger rows a part is compared: the figures take some hundred bytes a value."""

SHIFTS = 16
"""Other samples that each one is compared with to know how far answers agree by chance."""


def closeness(name: str, answers: Array, reference: Array, rows: Array, classes: bool) -> OutputFidelity:
    """The figures of an output whose values are right or merely near; what is masked counts in none of them.

    `rows` holds the number of each row's reference row, less than 0 where there is none. `centred_error` is the
    error's energy over that of the variation between samples, each a row: that of all rows of the reference, however
    few are compared.
    """
    compared = np.flatnonzero(rows >= 0)
    answers, reference = _thinned(answers), _thinned(reference)
    if reference.dtype.kind == "c":
        answers, reference = _two_channels(answers), _two_channels(reference)
    if reference.ndim == 1:
        answers, reference = answers[:, None], reference[:, None]
    pairs = [(answers[row], reference[rows[row]]) for row in compared]
    if reference.dtype.kind in "biu" and not _picture(reference):
        return _agreement(name, pairs, reference, compared)
    if reference[0].size == 0:
        return OutputFidelity(name=name, cosine_similarity=1.0, centred_error=None, max_abs_error=0.0)
    return _distance(name, pairs, reference, compared, rows, classes)


def _thinned(values: Array) -> Array:
    """The values, of large rows only every n-th place along their longest dimension."""
    size = math.prod(values.shape[1:])
    if size <= MOST_VALUES:
        return values
    longest = 1 + int(np.argmax(values.shape[1:]))
    return values[(slice(None),) * longest + (slice(None, None, -(-size // MOST_VALUES)),)]


def _two_channels(values: Array) -> Array:
    """Complex numbers as their real and imaginary parts, in a last dimension of their own."""
    return np.stack([values.real, values.imag], axis=-1)


# ------------------------------------------------------------------------------------------------------------ numbers


def _distance(
    name: str, pairs: Sequence[tuple[Array, Array]], reference: Array, compared: Array, rows: Array, classes: bool
) -> OutputFidelity:
    known, error = spread(list(reference)), np.zeros(reference.shape[1:])
    cosines, errors, largest_error, agreed, decided = [1.0], [], 0.0, 0, 0
    axis = _class_axis(reference, known.low.min() >= 0, classes)
    for answer_row, expected_row in pairs:
        expected, kept = unmasked(expected_row)
        answer = np.where(kept, np.asarray(answer_row).astype(np.float64), 0.0)
        squares = (answer - expected) ** 2
        error += squares
        errors.append(float(squares.sum()))
        largest_error = max(largest_error, float(squares.max()) ** 0.5)
        if expected.size > 1:  # of one value it is the sign alone
            cosines.append(_cosine(answer.ravel(), expected.ravel()))
        if axis is not None:
            same = _largest(answer, kept, axis) == _largest(expected, kept, axis)
            agreed, decided = agreed + int(same.sum()), decided + same.size
    largest = max(float(np.abs(unmasked(row)[0]).max()) for row in reference)
    whole = np.array_equal(rows[compared], np.arange(len(reference)))
    seen = known if whole else spread([expected for _, expected in pairs])
    channel = _worst_channel(name, pairs, error, seen, known, parts.channel_axis(known) if axis is None else axis)
    row = parts.worst_row(name, errors, [int(sample) for sample in compared], known.varies)
    neighbours = None
    if reference.ndim == 2 and axis is None and known.varies > 0:
        neighbours = _neighbours(pairs, rows[compared])
    return OutputFidelity(
        name=name,
        cosine_similarity=min(cosines),
        centred_error=sum(errors) / len(pairs) / known.varies if known.varies > 0 else None,
        max_abs_error=largest_error,
        max_rel_error=largest_error / largest if largest > 0 else None,
        top1_agreement=agreed / decided if decided else None,
        worst_channel_error=None if channel is None else channel.error,
        worst_sample_error=None if row is None else row.error,
        order_agreement=_order(pairs) if reference.ndim == 2 and known.varies > 0 else None,
        neighbours_kept=neighbours,
        part=max([part for part in (channel, row) if part is not None], key=lambda part: part.badness, default=None),
    )


def _worst_channel(
    name: str, pairs: Sequence[tuple[Array, Array]], error: Array, expected: Spread, known: Spread, channels: int
) -> Part | None:
    kept = [_where_unmasked(answer, expected) for answer, expected in pairs]
    return parts.worst_channel(name, spread(kept), error, expected, known, channels)


def _where_unmasked(answer: Array, expected: Array) -> Array:
    """An answer with the reference's masks."""
    _, kept = unmasked(expected)
    return answer if kept.all() else np.where(kept, answer, expected)


def _class_axis(reference: Array, positive: bool, classes: bool) -> int | None:
    """The dimension of a row along which the largest value is the answer: its values are known to be classes' scores.

    They are where the caller says so, and where they are shares that sum to 1.
    """
    if reference.ndim == 2 and reference.shape[1] >= 2 and classes:
        return 0
    for axis in (reference.ndim - 1, 1):
        if positive and reference.shape[axis] >= 2:
            sums = np.asarray(reference.sum(axis=axis, dtype=np.float64))
            if (np.abs(sums - 1) < SHARES).all():
                return axis - 1
    return None


def _largest(values: Array, kept: Array, axis: int) -> Array:
    return np.asarray(np.where(kept, values, -np.inf).argmax(axis=axis))


def _cosine(one: Array, other: Array) -> float:
    """The cosine similarity; 1 of two rows of zeros, 0 of such a row and another."""
    norms = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if 0.0 in norms:
        return 1.0 if norms[0] == norms[1] else 0.0
    return float(one @ other) / (norms[0] * norms[1])


def _flat(row: Array) -> Array:
    return np.asarray(row).astype(np.float64).ravel()


def _order(pairs: Sequence[tuple[Array, Array]]) -> float | None:
    answers, expected, kept = _stacked(pairs)
    return order.agreement(answers, expected, kept)


def _neighbours(pairs: Sequence[tuple[Array, Array]], rows: Array) -> float | None:
    """The share of nearest neighbours kept among the samples that differ in the reference."""
    first = {pairs[index][1].tobytes(): index for index in np.unique(rows, return_index=True)[1]}
    answers, expected, _ = _stacked([pairs[index] for index in first.values()])
    return order.neighbours_kept(answers, expected)


def _stacked(pairs: Sequence[tuple[Array, Array]]) -> tuple[Array, Array, Array]:
    expected, kept = unmasked(np.stack([wanted for _, wanted in pairs]))
    answers = np.stack([np.asarray(answer).astype(np.float64) for answer, _ in pairs])
    return np.where(kept, answers, 0.0), expected, kept


# ---------------------------------------------------------------------------------------------------------- agreement


def _picture(reference: Array) -> bool:
    return reference.dtype.itemsize == 1 and reference.ndim > 2 and len(np.unique(reference[0])) >= PICTURE


def _agreement(name: str, pairs: Sequence[tuple[Array, Array]], reference: Array, compared: Array) -> OutputFidelity:
    """The share of equal values beyond chance; an output that no longer varies has an error of 1, as a guess has."""
    same = [np.asarray(answer) == expected for answer, expected in pairs]
    shares = [float(row.mean()) if row.size else 1.0 for row in same]
    differences = [np.abs(_flat(answer) - _flat(expected)) for answer, expected in pairs]
    worst = int(np.argmin(shares))
    varied = any((expected != pairs[0][1]).any() for _, expected in pairs)
    still = varied and all((np.asarray(answer) == pairs[0][0]).all() for answer, _ in pairs)
    part = Part(name=f"sample {compared[worst]} of {label(name)}", error=1 - shares[worst])
    if still:
        part = Part(name=f"{label(name)} no longer varies", error=1.0, still=True)
    return OutputFidelity(
        name=name,
        cosine_similarity=min(_cosine(_flat(answer), _flat(expected)) for answer, expected in pairs),
        centred_error=None,
        max_abs_error=max(float(row.max(initial=0)) for row in differences),
        worst_channel_error=1.0 if still else None,
        agreement=_beyond_chance(sum(shares) / len(shares), reference),
        part=part,
    )


def _beyond_chance(share: float, reference: Array) -> float:
    """The share of equal values as Cohen's kappa has it: 1 the same, 0 as the answer to another sample.

    As it is where all samples have the same answer.
    """
    shifts = range(1, min(len(reference), SHIFTS + 1))
    chance = [float((reference == np.roll(reference, shift, axis=0)).mean()) for shift in shifts]
    other = sum(chance) / len(chance) if chance else 1.0
    return share if other == 1 else max(-1.0, (share - other) / (1 - other))
