"""The distance between the outputs of two calls, as a part of how much outputs vary from row to row."""

from __future__ import annotations

import numpy as np

from autotune.worker.model_check.subject import Array, Outputs

MASKED = 1e30
"""Larger values stand for infinity: a mask."""

LEAST_VARIATION = 1e-6
"""The least variation between rows, as a part of the energy, that a difference is held against."""


def largest(one: Outputs, other: Outputs) -> float:
    """The largest difference of any output of two calls, whose outputs have the same names and shapes."""
    return max((between(one[name], other[name]) for name in one), default=0.0)


def between(one: Array, other: Array, spread: Array | None = None) -> float:
    """The energy of the difference over that of the variation between rows, of `spread` or of `one`.

    For other values than floats it is the share that differs. NaN equals NaN, and what is masked counts as 0.
    """
    if one.dtype.kind != "f":
        return float((one != other).mean()) if one.size else 0.0
    varies = variation(one if spread is None else spread)
    energy = float(np.square(_plain(one) - _plain(other)).mean()) if one.size else 0.0
    return energy / varies if energy else 0.0


def variation(output: Array) -> float:
    """The mean energy of a value's variation between rows; a little where they hardly vary, so that it divides."""
    values = _plain(output)
    energy = float(np.square(values).mean()) if values.size else 0.0
    return max(float(values.var(axis=0).mean()) if values.size else 0.0, LEAST_VARIATION * energy, 1e-300)


def _plain(output: Array) -> Array:
    values = np.atleast_1d(output).astype(np.float64)
    return np.where(np.abs(values) < MASKED, values, 0.0)
