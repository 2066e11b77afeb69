"""Batches of input rows that a loaded model is checked on, and the reference row that each of their rows must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray[Any, Any], ...]

UNKNOWN = -1
"""The number of the reference row of a row that has none."""


def split(arrays: Callable[[int], Arrays], size: int, samples: int) -> list[Arrays]:
    """Batches of `size` rows that together hold at least `samples` rows; the first is the batch to measure."""
    count = -(-samples // size)
    return cut(arrays(count * size), size)


def with_reference_rows(
    arrays: Callable[[int], Arrays], size: int, known: int
) -> tuple[list[Arrays], np.ndarray[Any, Any]]:
    """As `split` for `known` rows with a reference, which fill the last batch too; and each row's reference row."""
    rows = reference_rows(-(-known // size) * size, known)
    whole = arrays(len(rows))
    for array in whole:
        array[rows >= 0] = array[rows[rows >= 0]]
    return cut(whole, size), rows


def reference_rows(count: int, known: int) -> np.ndarray[Any, Any]:
    """The reference row that each of `count` rows must equal: the known ones first, last in reverse, and in between.

    A batch larger than the reference is so compared at both ends and in the middle; in another order, rows that are
    computed in the place of others cannot pass for them.
    """
    rows = np.full(count, UNKNOWN)
    first = min(count, known)
    last = min(known, count - first)
    middle = min(known, count - first - last)
    begin = first + (count - first - last - middle) // 2
    rows[:first] = np.arange(first)
    rows[begin : begin + middle] = np.roll(np.arange(known), -(known // 2))[:middle]
    rows[count - last :] = np.arange(last)[::-1]
    return rows


def cut(whole: Arrays, size: int) -> list[Arrays]:
    """Rows in batches of `size`."""
    begins = range(0, len(whole[0]), size)
    return [tuple(np.ascontiguousarray(array[begin : begin + size]) for array in whole) for begin in begins]


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The rows of several batches as those of one."""
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
