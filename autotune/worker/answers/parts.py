"""The worst part of an output: a channel against that channel's own variation, a sample against the usual one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from autotune.core.answers import Part
from autotune.core.outputs import label
from autotune.worker.answers.masks import Array
from autotune.worker.answers.spread import ROUNDING, Spread

STILL = 0.01
"""A channel no longer varies where its variance is less than this part of the reference's on the same samples."""

SCORES = 0.25
"""Where all values are between 0 and 1, as probabilities are, a channel counts if its own differ by as much."""

SMALL = 1e-3
"""Another one counts if its deviation is at least this part of the largest channel's."""

QUIET = 1e-5
"""Those that vary less are quiet, and judged together: down to this part, and scores that differ by `QUIET_SCORES`."""

QUIET_SCORES = 0.02

FEWEST = 3
"""Samples that must differ to say that a channel varies."""

INDEPENDENT = 16
"""Of the places of a channel, which are alike, so many at most count as values of their own."""

DEVIATIONS = 2.0
"""A ratio of few values is taken at its lower end: so many standard deviations of its logarithm below."""

ALONE = 30.0
"""Except where it is so many times that of most channels: then it is no accident of few values."""


def channel_axis(known: Spread) -> int:
    """The dimension of a row that holds its channels: of the first and the last that whose parts vary less alike.

    Boxes beside scores differ by orders of magnitude, places in space or time do not.
    """
    return max(sorted({0, known.squares.ndim - 1}), key=lambda axis: _unlike(known.squares, axis))


def _unlike(squares: Array, axis: int) -> float:
    """The deviation of the logarithms of the variances along a dimension."""
    along = squares.sum(tuple(other for other in range(squares.ndim) if other != axis))
    return float(np.log(np.maximum(along, ROUNDING * along.max() or 1.0)).std())


def worst_channel(
    name: str, answers: Spread, error: Array, expected: Spread, known: Spread, channels: int
) -> Part | None:
    """The channel whose error is largest for its variation between samples, or that no longer varies.

    `channels` is the dimension of a row that holds them. Along the other one of its first and last, which may be places
    in space or time, whose variation may be small at the edge, parts are only looked for that no longer vary.

    `error` is the sum of squared errors of each place over the compared samples, whose spreads are `answers` and
    `expected`; `known` is the spread of all of the reference. A channel that the reference varies and the answer does
    not has an error of 1 at least. None where no channel varies.
    """
    found = [
        part
        for axis in sorted({0, channels, error.ndim - 1})
        if (part := _worst_along(axis, name, answers, error, expected, known)) is not None
        if axis == channels or part.still
    ]
    return max(found, key=lambda part: part.badness, default=None)


def worst_row(name: str, errors: Sequence[float], samples: Sequence[int], variation: float) -> Part | None:
    """The sample whose error is largest for the usual variation of a sample; None where nothing varies."""
    if variation <= 0:
        return None
    worst = int(np.argmax(errors))
    return Part(name=f"sample {samples[worst]} of {label(name)}", error=errors[worst] / variation)


def _worst_along(axis: int, name: str, answers: Spread, error: Array, expected: Spread, known: Spread) -> Part | None:
    others = tuple(other for other in range(error.ndim) if other != axis)
    squares, energy = known.squares.sum(others), known.energy.sum(others)
    places = error.size // len(squares)
    low, high = known.low.min(others), known.high.max(others)
    varying, lively = squares > ROUNDING * energy, _lively(squares, low, high)
    counts = varying & lively
    if quiet := _still_quiet(varying & ~lively, squares, low, high, answers, expected, others):
        return Part(
            name=f"{quiet} quiet {_channels(axis, quiet)} of {label(name)} no longer vary", error=1.0, still=True
        )
    if not counts.any():
        return None
    ratio = error.sum(others) / answers.rows / np.where(counts, squares / known.rows, 1.0)
    alone = ratio > ALONE * np.quantile(ratio[counts], 1 / 4, method="lower")
    end = _lower_end(answers.rows * min(places, INDEPENDENT), known.rows * min(places, INDEPENDENT))
    ratio = np.where(alone, ratio, ratio * end)
    still = np.zeros(len(ratio), bool)
    if answers.rows >= FEWEST:
        varied = expected.squares.sum(others)
        still = (varied > ROUNDING * energy) & (answers.squares.sum(others) < STILL * varied)
        ratio = np.where(still, np.maximum(ratio, 1.0), ratio)
    ratio = np.where(counts, ratio, 0.0)
    worst = int(np.where(still & counts, ratio + ratio.max(), ratio).argmax())
    found = Part(name=f"{_channel(axis, worst, error.shape)}{label(name)}", error=float(ratio[worst]))
    return msgspec.structs.replace(found, name=f"{found.name} no longer varies", still=True) if still[worst] else found


def _lively(squares: Array, low: Array, high: Array) -> Array:
    """True for channels that vary so much that somebody may look at them."""
    scores = (low >= 0) & (high <= 1)
    moved = scores & (high - low >= SCORES)
    return np.asarray(moved if scores.all() else moved | (squares >= SMALL**2 * squares.max()))


def _still_quiet(
    quiet: Array, squares: Array, low: Array, high: Array, answers: Spread, expected: Spread, others: tuple[int, ...]
) -> int:
    """The number of quiet channels where none of them varies any more: one alone may, as a class that never comes."""
    if (low >= 0).all() and (high <= 1).all():
        quiet = quiet & (high - low >= QUIET_SCORES)
    else:
        quiet = quiet & (squares >= QUIET**2 * squares.max())
    if answers.rows < FEWEST or not quiet.any():
        return 0
    varied, left = expected.squares.sum(others)[quiet].sum(), answers.squares.sum(others)[quiet].sum()
    return int(quiet.sum()) if left < STILL * varied else 0


def _lower_end(compared: int, known: int) -> float:
    """The factor of a ratio of two variances, of so many values each, to the lower end of its interval."""
    return math.exp(-DEVIATIONS * math.sqrt(2 / compared + 2 / known))


def _channel(axis: int, index: int, shape: tuple[int, ...]) -> str:
    if shape == (1,):
        return ""
    return f"channel {index} of " if axis == 0 else f"place {index} in the last dimension of "


def _channels(axis: int, count: int) -> str:
    what = "channel" if axis == 0 else "place"
    return f"{what}{'' if count == 1 else 's'}{'' if axis == 0 else ' in the last dimension'}"
