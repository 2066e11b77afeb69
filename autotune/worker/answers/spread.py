"""The variation of an output between samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autotune.worker.answers.masks import Array, unmasked

ROUNDING = 1e-12
"""Variation below this part of the outputs' energy is float32's rounding."""


class Spread(NamedTuple):
    """Of each place of a row over the samples: sums of squares about the mean and about 0, the range of values.

    Masked values count nowhere; a place that is masked in all samples has no range.
    """

    rows: int
    squares: Array
    energy: Array
    low: Array
    high: Array

    @property
    def varies(self) -> float:
        """The energy of the variation between samples, a row; 0 where it is no more than rounding."""
        squares = float(self.squares.sum())
        return squares / self.rows if squares > ROUNDING * float(self.energy.sum()) else 0.0


def spread(rows: Sequence[Array]) -> Spread:
    """The variation of rows of one shape."""
    total, count = np.zeros(np.shape(rows[0])), np.zeros(np.shape(rows[0]))
    for row in rows:
        values, kept = unmasked(row)
        total += values
        count += kept
    mean = total / np.maximum(count, 1)
    found = Spread(
        len(rows),
        squares=np.zeros_like(mean),
        energy=np.zeros_like(mean),
        low=np.full_like(mean, np.inf),
        high=np.full_like(mean, -np.inf),
    )
    for row in rows:
        values, kept = unmasked(row)
        found.squares[...] += np.square(values - mean) * kept
        found.energy[...] += np.square(values)
        np.minimum(found.low, values, out=found.low, where=kept)
        np.maximum(found.high, values, out=found.high, where=kept)
    return found
