"""Taking the machine's drift out of rates: a regression of the log rate on the canary around each block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotune.results import Block
from autotune.rules import Correction

MOST = 1.2
"""A rate follows the canary at most a little more than in proportion; it never goes the other way."""

LEAST_BLOCKS = 48
"""With fewer, a canary that says nothing is often believed: in 14 % of simulated studies of 12 blocks, 5 % of 48."""

LEAST_GAIN = 0.05
"""By so much the correction must reduce the residual of trials that it was not fitted on."""

NEIGHBOURS = 4
"""So many neighbouring blocks are averaged for a slope."""

SWEEPS = 200
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def rates(blocks: Sequence[Block], correction: Correction) -> list[float]:
    """Items per second of each block at the machine's usual speed; a block without a canary keeps its rate."""
    return [block.rate * math.exp(-_drift(block, correction)) for block in blocks]


def fit(groups: Sequence[Sequence[Block]]) -> Correction:
    """The correction that blocks of several groups support, a group being one configuration's run.

    Slopes come from differences inside the groups alone, each centred on itself, by least squares within [0, 1.2], on
    means of neighbouring blocks where a group is long enough for them. They are kept only if, fitted without a group,
    they reduce the residual of that group's blocks (leave-one-out over the groups).
    """
    sensed = [[block for block in group if block.canary is not None] for group in groups]
    sensed = [group for group in sensed if len(group) > 1]
    centres = _centres(sensed)
    if len(sensed) < 2 or sum(map(len, sensed)) < LEAST_BLOCKS:
        return Correction(centres=centres)
    names = list(sensed[0][0].canary.parts) if sensed[0][0].canary else []
    pairs = [_centred(group) for group in sensed]
    products = [_products(x, y) for x, y in map(_averaged, pairs)]
    whole = _slopes(*_sum(products))
    before = sum(float(y @ y) for _, y in pairs)
    after = _left_out(pairs, products)
    if before == 0 or not whole.any() or after > (1 - LEAST_GAIN) * before:
        return Correction(centres=centres)
    slopes = dict(zip(names, map(float, whole), strict=True))
    return Correction(slopes=slopes, centres=centres)


def _drift(block: Block, correction: Correction) -> float:
    if block.canary is None or not correction.slopes:
        return 0.0
    centres = correction.centres.get(block.canary.cores)
    if centres is None:
        return 0.0
    parts = block.canary.parts
    return math.fsum(slope * (math.log(parts[name]) - centres[name]) for name, slope in correction.slopes.items())


def _centres(groups: Sequence[Sequence[Block]]) -> dict[int, dict[str, float]]:
    """The mean log of each part, by the number of cores that the canary ran on."""
    by_cores: dict[int, list[dict[str, float]]] = {}
    for block in (block for group in groups for block in group):
        if block.canary is not None:
            by_cores.setdefault(block.canary.cores, []).append(block.canary.parts)
    return {
        cores: {name: math.fsum(math.log(parts[name]) for parts in found) / len(found) for name in found[0]}
        for cores, found in by_cores.items()
    }


def _centred(group: Sequence[Block]) -> tuple[Matrix, Matrix]:
    """Log canary parts (blocks × parts) and log rates of one group, each less its mean."""
    x = np.log(np.array([list(block.canary.parts.values()) for block in group if block.canary is not None]))
    y = np.log(np.array([block.rate for block in group]))
    return x - x.mean(axis=0), y - y.mean()


def _averaged(pair: tuple[Matrix, Matrix]) -> tuple[Matrix, Matrix]:
    """Means of neighbouring blocks, centred again: the canary's own noise, which flattens slopes, averages out."""
    x, y = pair
    if len(y) <= NEIGHBOURS:
        return pair
    x = np.lib.stride_tricks.sliding_window_view(x, NEIGHBOURS, axis=0).mean(axis=-1)
    y = np.lib.stride_tricks.sliding_window_view(y, NEIGHBOURS).mean(axis=-1)
    return x - x.mean(axis=0), y - y.mean()


def _products(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    return x.T @ x, x.T @ y


def _sum(products: Sequence[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    return sum((xx for xx, _ in products), np.zeros(())), sum((xy for _, xy in products), np.zeros(()))


def _left_out(pairs: Sequence[tuple[Matrix, Matrix]], products: Sequence[tuple[Matrix, Matrix]]) -> float:
    """The squared residual of all groups' blocks, each corrected by slopes that were fitted without it."""
    all_xx, all_xy = _sum(products)
    residual = 0.0
    for (x, y), (xx, xy) in zip(pairs, products, strict=True):
        left = y - x @ _slopes(all_xx - xx, all_xy - xy)
        residual += float(left @ left)
    return residual


def _slopes(xx: Matrix, xy: Matrix) -> Matrix:
    """Least squares within the bounds, by coordinate descent on the normal equations (convex, so it converges)."""
    slopes = np.zeros(len(xy))
    for _ in range(SWEEPS):
        before = slopes.copy()
        for i in range(len(slopes)):
            if xx[i, i] > 0:
                slopes[i] = np.clip(slopes[i] + (xy[i] - xx[i] @ slopes) / xx[i, i], 0.0, MOST)
        if np.abs(slopes - before).max() < 1e-9:
            break
    return slopes
