"""Masked places of an output, such as a mask's −inf: they are left out of all figures, and what may stand there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MASKED = 1e30
"""Larger values stand for infinity: a mask is often the least number of its type."""


def unmasked(row: Array) -> tuple[Array, Array]:
    """A row as float64 with 0 in place of masked values, and true where it has none."""
    values = np.asarray(row).astype(np.float64)
    if np.abs(values).max(initial=0.0) < MASKED:
        return values, np.broadcast_to(np.True_, values.shape)
    kept = np.abs(values) < MASKED
    return np.where(kept, values, 0.0), kept


def not_a_number(output: Array) -> str | None:
    """The first NaN of an output and how many there are, in words; or None."""
    places = np.argwhere(np.isnan(output))
    return f"is nan in {_place(*places[0])}; {len(places)} values are NaN" if len(places) else None


def wrong_values(pairs: Iterable[tuple[Array, Array]], samples: Iterable[int]) -> str | None:
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
