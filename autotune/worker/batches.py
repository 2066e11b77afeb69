"""Batches of input rows that a loaded model is checked on, and the reference row that each of their rows must equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotune.core import rows
from autotune.core.rows import Axes

Arrays = tuple[np.ndarray[Any, Any], ...]

UNKNOWN = -1
"""The number of the reference row of a row that has none."""


def with_reference_rows(
    arrays: Callable[[int], Arrays], axes: Axes, size: int, known: int
) -> tuple[list[Arrays], np.ndarray[Any, Any]]:
    """Batches of `size` rows, which hold the `known` rows with a reference, at the end again; and each row's reference.

    The first is the batch to measure.
    """
    wanted = reference_rows(-(-known // size) * size, known)
    order = np.where(wanted >= 0, wanted, np.arange(len(wanted)))
    return cut(rows.taken(arrays(len(wanted)), axes, order), axes, size), wanted


def reference_rows(count: int, known: int) -> np.ndarray[Any, Any]:
    """The reference row that each of `count` rows must equal: the known ones first, last in reverse, and in between.

    A batch larger than the reference is so compared at both ends and in the middle; in another order, rows that are
    computed in the place of others cannot pass for them.
    """
    found = np.full(count, UNKNOWN)
    first = min(count, known)
    last = min(known, count - first)
    middle = min(known, count - first - last)
    begin = first + (count - first - last - middle) // 2
    found[:first] = np.arange(first)
    found[begin : begin + middle] = np.roll(np.arange(known), -(known // 2))[:middle]
    found[count - last :] = np.arange(last)[::-1]
    return found


def cut(whole: Arrays, axes: Axes, size: int) -> list[Arrays]:
    """Rows in batches of `size`, the last of which may have fewer."""
    count = rows.count(whole, axes)
    return [rows.taken(whole, axes, range(begin, min(begin + size, count))) for begin in range(0, count, size)]
