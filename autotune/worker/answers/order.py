"""The order of an output's values, and of samples by their likeness."""

from __future__ import annotations

import numpy as np

from autotune.worker.answers.masks import Array

SAME = 1e-6
"""Values that differ by less than this part of the largest are in no order."""

MOST_VALUES = 2**22
"""More values are not put in order, since that takes long."""

FEWEST_NEIGHBOURS = 16
"""Distinct samples that nearest neighbours are looked for among."""

FEWEST_COLUMNS = 16
"""Columns of an embedding."""


def agreement(answers: Array, expected: Array, kept: Array) -> float | None:
    """How far values are in the reference's order, by rows: 1 the same, 0 that of chance, −1 reversed.

    Gini's correlation of the reference with the ranks of the answers: pairs count by how far they are apart in the
    reference, so that what is nearly the same may change places. Where signs differ, 0 is one of the values.
    The answers are samples × columns; one column is one row. None where nothing varies, or there are very many values.
    """
    if expected.size > MOST_VALUES:
        return None
    if expected.shape[1] == 1:
        answers, expected, kept = answers.T, expected.T, kept.T
    signed = (expected[kept] < 0).any() and (expected[kept] > 0).any()
    zero = np.zeros(1 if signed else 0)
    found = []
    for answer, wanted, valid in zip(answers, expected, kept, strict=True):
        got, values = np.concatenate([answer[valid], zero]), np.concatenate([wanted[valid], zero])
        if len(values) < 2 or np.ptp(values) <= SAME * np.abs(values).max():
            continue
        centred = values - values.mean()
        found.append(float(centred @ ranks(got)) / float(centred @ ranks(values)))
    return sum(found) / len(found) if found else None


def ranks(values: Array) -> Array:
    """The rank of each value; that of equal ones is their mean."""
    order = np.argsort(values)
    begins = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    ends = np.append(begins[1:], len(values))
    found = np.empty(len(values))
    found[order] = np.repeat((begins + ends + 1) / 2, ends - begins)
    return found


def neighbours_kept(answers: Array, expected: Array) -> float | None:
    """The share of samples whose nearest neighbour, by the cosine, is the reference's; None for too few samples.

    Both are samples × columns, the samples of the reference distinct.
    """
    if len(expected) < FEWEST_NEIGHBOURS or expected.shape[1] < FEWEST_COLUMNS:
        return None
    likeness, nearest = _cosines(expected), _cosines(answers).argmax(axis=1)
    found = likeness[np.arange(len(expected)), nearest]
    return float((found >= likeness.max(axis=1) - SAME).mean())


def _cosines(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(lengths > 0, lengths, 1.0)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    return np.asarray(likeness)
