"""Points as rows of bits, so that the distances between many points are products of matrices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune.core.config import Layout
from autotune.core.struct import Value, is_number
from autotune.study.model.points import Parameters

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Dimension:
    """One property of a point: the bits of each of its values, those of a point without it, and the bits' weights.

    Two values are as far apart as the weights of the bits in which they differ add up to, at most 1.
    """

    name: str
    bits: dict[Value, list[float]]
    missing: list[float]
    weights: list[float]


class PointEncoder:
    """Turns points into rows of bits.

    A parameter of numbers is as far apart as their logarithms, on a scale from 0 to 1; a layout is two such, the cores
    that it uses and its workers; values of any other are equally far apart. A parameter that a point lacks, since
    another backend has it, is half a step from every value, of numbers the middle one: so that the distances are those
    of places, without which a kernel of them is no covariance.

    `names` are the dimensions; `dimension` and `weight` are those of each bit. `landmarks` are the (parameter, value)
    pairs that say all there is to say of a parameter: every value, but of numbers and layouts only the ends.
    """

    def __init__(self, axes: Mapping[str, Sequence[Value]]) -> None:
        by_axis = {axis: list(_dimensions(axis, values)) for axis, values in axes.items()}
        dimensions = list(itertools.chain.from_iterable(by_axis.values()))
        widths = [len(one.weights) for one in dimensions]
        self.names = [one.name for one in dimensions]
        self.dimension = np.repeat(np.arange(len(dimensions)), widths)
        self.weight = np.array([weight for one in dimensions for weight in one.weights])
        self.landmarks = {(axis, value) for axis, values in axes.items() for value in _landmarks(axis, values)}
        self._missing = np.array([bit for one in dimensions for bit in one.missing])
        firsts = iter(itertools.accumulate(widths, initial=0))
        self._by_axis = {axis: [(next(firsts), one.bits) for one in ones] for axis, ones in by_axis.items()}

    def encode(self, points: Sequence[Parameters]) -> EncodedPoints:
        """The points as bits; a value that no axis has counts as missing."""
        rows = np.tile(self._missing, (len(points), 1))
        for row, point in zip(rows, points, strict=True):
            for axis, value in point.items():
                for first, bits in self._by_axis.get(axis, ()):
                    if (code := bits.get(value)) is not None:
                        row[first : first + len(code)] = code
        return EncodedPoints(self, rows)


@dataclass(frozen=True)
class EncodedPoints:
    """Points as bits (points × bits)."""

    encoder: PointEncoder
    bits: Matrix

    def __len__(self) -> int:
        return len(self.bits)

    def rows(self, indices: Sequence[int] | Any) -> EncodedPoints:
        """Some of the points, by index."""
        return EncodedPoints(self.encoder, self.bits[indices])

    def distances(self, other: EncodedPoints, weights: Matrix) -> Matrix:
        """The weighted sum of the distances in all dimensions (points × points of the other)."""
        weight = weights[self.encoder.dimension] * self.encoder.weight
        mine, theirs = self.bits * weight, other.bits * weight
        return np.asarray(np.maximum(mine.sum(axis=1)[:, None] + theirs.sum(axis=1) - 2 * mine @ other.bits.T, 0.0))

    def distances_by_dimension(self) -> Matrix:
        """The distances among these points in each dimension (dimensions × points × points), from 0 to 1."""
        count = len(self.encoder.names)
        return np.array([self.distances(self, np.eye(count)[dimension]) for dimension in range(count)])


def _dimensions(axis: str, values: Sequence[Value]) -> Iterator[Dimension]:
    """The dimensions of a parameter: two of a layout, one of any other."""
    if axis == "layout":
        layouts = {value: Layout.parse(str(value)) for value in values}
        cores: dict[Value, float] = {value: layout.workers * layout.threads for value, layout in layouts.items()}
        yield _ordinal(f"{axis} cores", cores)
        yield _ordinal(f"{axis} workers", {value: layout.workers for value, layout in layouts.items()})
    elif all_numbers(values):
        yield _ordinal(axis, {value: float(value) for value in values})
    else:
        yield _nominal(axis, values)


def _nominal(name: str, values: Sequence[Value]) -> Dimension:
    """Values without an order: each has a bit of its own, so that any two differ in two bits of weight 0.5."""
    bits = {value: list(row) for value, row in zip(values, np.eye(len(values)), strict=True)}
    return Dimension(name, bits, missing=[0.0] * len(values), weights=[0.5] * len(values))


def _ordinal(name: str, numbers: Mapping[Value, float]) -> Dimension:
    """Numbers: a bit for each step from one to the next larger, set in all numbers above that step.

    A step weighs as much as the logarithms differ, as a part of the whole range. 0 counts as half of the least other
    number; where some are negative the numbers themselves count.
    """
    levels = sorted(set(numbers.values()))
    heights = levels
    if levels[0] >= 0 and (positive := [level for level in levels if level > 0]):
        heights = [math.log2(level or positive[0] / 2) for level in levels]
    range_ = (heights[-1] - heights[0]) or 1.0
    weights = [(above - below) / range_ for below, above in itertools.pairwise(heights)] or [0.0]
    bits = {level: [float(step < place) for step in range(len(weights))] for place, level in enumerate(levels)}
    middle = bits[levels[len(levels) // 2]]
    return Dimension(name, {value: bits[number] for value, number in numbers.items()}, middle, weights)


def _landmarks(axis: str, values: Sequence[Value]) -> Sequence[Value]:
    """The values that stand for all others."""
    if axis == "layout":
        return [pick(values, key=lambda value: Layout.parse(str(value)).workers) for pick in (min, max)]
    return [min(values), max(values)] if all_numbers(values) else values


def all_numbers(values: Sequence[Value]) -> bool:
    """True if all values are numbers, which have an order."""
    return all(map(is_number, values))
