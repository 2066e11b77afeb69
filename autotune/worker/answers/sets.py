"""Outputs that are sets of items, such as a top-k's or those of non-maximum suppression: their order may differ.

Outputs are items where they have the same second dimension and the reference sorts them by one of their values, or
numbers each item of a sample differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autotune.worker.answers.masks import Array, unmasked

FEWEST_ITEMS = 3
MOST_ITEMS = 512
"""More are not matched, since that takes long."""

CHANCE = 14.0
"""The logarithm of the orders that all samples could be in: with fewer, values may be sorted by chance."""

EQUAL = 1e-6
"""Items that are as near need no matching."""


def in_order(outputs: Sequence[Array], reference: Sequence[Array], rows: Array) -> tuple[list[Array], frozenset[int]]:
    """The outputs with the items of each sample in the reference's order, and the places of those that were moved.

    `rows` holds the number of each row's reference row, less than 0 where there is none. The same change of places in
    all samples is none of a set: channels have changed places.
    """
    found, moved = list(outputs), set[int]()
    for places in _groups(reference):
        orders = _orders([outputs[place] for place in places], [reference[place] for place in places], rows)
        if orders is None:
            continue
        for place in places:
            found[place] = np.stack([row[order] for row, order in zip(outputs[place], orders, strict=True)])
        moved.update(places)
    return found, frozenset(moved)


def _groups(reference: Sequence[Array]) -> list[list[int]]:
    """The places of outputs that hold items together."""
    by_count: dict[int, list[int]] = {}
    for place, array in enumerate(reference):
        if array.ndim in (2, 3) and FEWEST_ITEMS <= array.shape[1] <= MOST_ITEMS:
            by_count.setdefault(array.shape[1], []).append(place)
    return [
        places
        for places in by_count.values()
        if _sorted_by([reference[place] for place in places]) or any(_numbers(reference[place]) for place in places)
    ]


def _sorted_by(group: Sequence[Array]) -> list[tuple[int, int, int]]:
    """What the items of all samples are sorted by: the output, its column, and 1 for rising or −1 for falling."""
    found: list[tuple[int, int, int]] = []
    for place, array in enumerate(group):
        if array.dtype.kind != "f" or len(array) * math.lgamma(array.shape[1] + 1) < CHANCE:
            continue
        columns = _columns(array)
        steps = np.diff(columns, axis=1)
        for column in range(columns.shape[2]):
            for sign in (1, -1):
                if (sign * steps[:, :, column] >= 0).all() and (steps[:, :, column] != 0).any(axis=1).mean() > 1 / 2:
                    found.append((place, column, sign))
    return found


def _numbers(array: Array) -> bool:
    """True for whole numbers of which each sample has others, none twice."""
    if array.ndim != 2 or array.dtype.kind not in "iu" or (array == array[0]).all():
        return False
    return bool((np.diff(np.sort(array, axis=1), axis=1) != 0).all())


def _columns(array: Array) -> Array:
    """The values of each item (samples × items × columns), 0 where they are masked."""
    return unmasked(array)[0].reshape(*array.shape[:2], -1)


def _orders(outputs: Sequence[Array], reference: Sequence[Array], rows: Array) -> list[Array] | None:
    """For each row the answer's item in the place of each of the reference; None where the outputs are no set."""
    compared = np.flatnonzero(rows >= 0)
    units = [np.maximum(_columns(array).std(axis=(0, 1)), 1e-30) for array in reference]
    same = np.arange(reference[0].shape[1])
    orders = [same] * len(rows)
    for row in compared:
        costs = np.zeros((len(same), len(same)))
        for output, wanted, unit in zip(outputs, reference, units, strict=True):
            costs += _costs(output[row], wanted[rows[row]], unit)
        if costs.trace() > EQUAL * len(same):
            orders[row] = _matched(costs)
    changed = [orders[row] for row in compared if (orders[row] != same).any()]
    if not changed:
        return None
    differ = any((order != changed[0]).any() for order in changed) or len(changed) < len(compared)
    resorted = any(
        (sign * np.diff(_columns(outputs[place])[compared, :, column], axis=1) >= 0).all()
        for place, column, sign in _sorted_by(reference)
    )
    return orders if differ or resorted else None


def _costs(answer: Array, wanted: Array, unit: Array) -> Array:
    """The distance of each item of the reference (rows) from each of the answer, at most 1."""
    got, aim = (_columns(row[None])[0] for row in (answer, wanted))
    if wanted.dtype.kind != "f":
        return np.asarray((aim[:, None, :] != got[None, :, :]).mean(axis=2))
    return np.asarray(np.minimum(np.abs(aim[:, None, :] - got[None, :, :]) / unit, 1.0).mean(axis=2))


def _matched(costs: Array) -> Array:
    """The column of each row for the least sum of costs; without scipy the cheapest pairs first."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        return _greedy(costs)
    return np.asarray(linear_sum_assignment(costs)[1])


def _greedy(costs: Array) -> Array:
    found = np.full(len(costs), -1)
    taken = np.zeros(len(costs), bool)
    for row, column in zip(*np.unravel_index(np.argsort(costs, axis=None, kind="stable"), costs.shape), strict=True):
        if found[row] < 0 and not taken[column]:
            found[row], taken[column] = column, True
    return found
