"""Drift correction of rates: a regression of the log rate on the canary around each block."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotune.core.results import Block, Canary
from autotune.core.rules import Correction

MOST = 1.2
"""A rate follows the canary at most a little more than in proportion; it never goes the other way."""

LEAST_BLOCKS = 48
"""With fewer, a canary that says nothing is often believed: in 14 % of simulated studies of 12 blocks, 5 % of 48."""

USUAL = {"compute": 0.5, "memory": 0.2, "scalar": 0.15}
"""The slopes of the recorded machines (0.57, 0.15, 0.12 and 0.49, 0.20, 0.17), tried where blocks are few."""

USUAL_GAIN = 0.3
"""By so much they must reduce the spread inside the groups: on a quiet machine the canary's own noise adds to it."""

LEAST_GAIN = 0.05
"""By so much the correction must reduce the residual of trials that it was not fitted on."""

NEIGHBOURS = 4
"""So many neighbouring blocks are averaged for a slope."""

SWEEPS = 200
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Owners = np.ndarray[Any, np.dtype[np.int64]]
"""The group of each block, by its place."""


def corrected(blocks: Sequence[Block], correction: Correction) -> list[float]:
    """Items per second of each block at the machine's usual speed; a block without a canary keeps its rate."""
    return [block.rate * math.exp(-_drift(block, correction)) for block in blocks]


def fit(groups: Sequence[Sequence[Block]]) -> Correction:
    """The correction that blocks of several groups support, a group being one configuration's run.

    Slopes come from differences inside the groups alone, each centred on itself, by least squares within [0, 1.2], on
    means of neighbouring blocks where a group is long enough for them. They are kept only if, fitted without a group,
    they reduce the residual of that group's blocks (leave-one-out over the groups). Of few blocks the usual slopes are
    kept, if those reduce it much.
    """
    sensed = [[(block.canary, block.rate) for block in group if block.canary is not None] for group in groups]
    sensed = [group for group in sensed if len(group) > 1]
    if not sensed:
        return Correction()
    names = list(sensed[0][0][0].parts)
    logs, cores = _logs(sensed)
    centres = {
        int(count): dict(zip(names, map(float, logs[cores == count, :-1].mean(axis=0)), strict=True))
        for count in np.unique(cores)
    }
    owner = np.repeat(np.arange(len(sensed)), [len(group) for group in sensed])
    logs = _centred(logs, owner)
    if len(logs) < LEAST_BLOCKS:
        return Correction(slopes=_usual(logs, names), centres=centres)
    products = _products(*_averaged(logs, owner))
    whole = _slopes(products.sum(axis=0, keepdims=True))[0]
    before = float(logs[:, -1] @ logs[:, -1])
    after = _left_out(logs, owner, products)
    if not whole.any() or after > (1 - LEAST_GAIN) * before:
        return Correction(centres=centres)
    slopes = dict(zip(names, map(float, whole), strict=True))
    return Correction(slopes=slopes, centres=centres)


def _drift(block: Block, correction: Correction) -> float:
    if block.canary is None:
        return 0.0
    centres = correction.centres.get(block.canary.cores)
    if centres is None:
        return 0.0
    parts = block.canary.parts
    return math.fsum(slope * (math.log(parts[name]) - centres[name]) for name, slope in correction.slopes.items())


def _logs(groups: Sequence[Sequence[tuple[Canary, float]]]) -> tuple[Matrix, Owners]:
    """The logarithms of the canary's parts and, last, of the rate of each block (blocks × parts + 1).

    And the number of cores that each one's canary ran on.
    """
    sensed = list(itertools.chain.from_iterable(groups))
    values = np.array([(*canary.parts.values(), rate) for canary, rate in sensed])
    return np.log(values), np.array([canary.cores for canary, _ in sensed])


def _centred(values: Matrix, owner: Owners) -> Matrix:
    """Values of blocks, each less the mean of its group's."""
    sums = np.zeros((owner.max() + 1, values.shape[1]))
    np.add.at(sums, owner, values)
    return values - (sums / np.bincount(owner)[:, None])[owner]


def _averaged(values: Matrix, owner: Owners) -> tuple[Matrix, Owners]:
    """Means of neighbouring blocks, centred again: the canary's own noise, which flattens slopes, averages out.

    Blocks of groups that are too short for it stay as they are.
    """
    long = np.bincount(owner) > NEIGHBOURS
    means = np.lib.stride_tricks.sliding_window_view(values, NEIGHBOURS, axis=0).mean(axis=-1)
    first, short = owner[: len(means)], ~long[owner]
    whole = (first == owner[NEIGHBOURS - 1 :]) & long[first]
    owners = np.concatenate([first[whole], owner[short]])
    return _centred(np.concatenate([means[whole], values[short]]), owners), owners


def _usual(logs: Matrix, names: Sequence[str]) -> dict[str, float]:
    """The usual slopes of these parts, if they serve these centred blocks well; else none."""
    slopes = {name: USUAL.get(name, 0.0) for name in names}
    left = logs[:, -1] - logs[:, :-1] @ np.array(list(slopes.values()))
    return slopes if left @ left < (1 - USUAL_GAIN) * (logs[:, -1] @ logs[:, -1]) else {}


def _products(values: Matrix, owner: Owners) -> Matrix:
    """The sums of squares and products of each group (groups × parts + 1 × parts + 1)."""
    sums = np.zeros((owner.max() + 1, values.shape[1], values.shape[1]))
    np.add.at(sums, owner, values[:, :, None] * values[:, None, :])
    return sums


def _left_out(logs: Matrix, owner: Owners, products: Matrix) -> float:
    """The squared residual of all groups' blocks, each corrected by slopes that were fitted without its group."""
    slopes = _slopes(products.sum(axis=0) - products)
    left = logs[:, -1] - (logs[:, :-1] * slopes[owner]).sum(axis=1)
    return float(left @ left)


def _slopes(products: Matrix) -> Matrix:
    """Least squares within the bounds (fits × parts), by coordinate descent on the normal equations of each fit.

    The problem is convex, so it converges.
    """
    slopes = np.zeros((len(products), products.shape[1] - 1))
    for _ in range(SWEEPS):
        before = slopes.copy()
        for i in range(slopes.shape[1]):
            own = products[:, i, i]
            left = products[:, i, -1] - (products[:, i, :-1] * slopes).sum(axis=1)
            step = np.divide(left, own, out=np.zeros_like(own), where=own > 0)
            slopes[:, i] = np.clip(slopes[:, i] + step, 0.0, MOST)
        if np.abs(slopes - before).max() < 1e-9:
            break
    return slopes
