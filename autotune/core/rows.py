"""Rows of several arrays, each along its own batch dimension; an array without one is the same for every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Arrays = tuple[np.ndarray[Any, Any], ...]

Axes = tuple[int | None, ...]
"""The batch dimension of each array; None where it has none."""


def found(shapes: Sequence[Sequence[int]]) -> Axes | None:
    """The batch dimensions of arrays that hold as many rows as the first of them; None where one has no such dimension.

    It is the first dimension, or else the first of that size. A single number has none.
    """
    rows = next((shape[0] for shape in shapes if len(shape)), 0)
    if any(len(shape) and rows not in shape for shape in shapes):
        return None
    return tuple(list(shape).index(rows) if len(shape) else None for shape in shapes)


def count(arrays: Arrays, axes: Axes) -> int:
    """How many rows each array with a batch dimension has."""
    return next(len(array.swapaxes(0, axis)) for array, axis in zip(arrays, axes, strict=True) if axis is not None)


def taken(arrays: Arrays, axes: Axes, rows: Any) -> Arrays:
    """The rows of these numbers, in this order, as arrays of their own."""
    return tuple(array if axis is None else array.take(rows, axis) for array, axis in zip(arrays, axes, strict=True))
