"""The configurations that a sampler may choose from: as parameters by name, and as bits for a model."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from autotune.core.config import Layout
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Value, is_number
from autotune.space import configs
from autotune.study.search import suggest

Parameters = dict[str, Value]
REMEMBERED = 10_000
Matrix = np.ndarray[Any, np.dtype[np.float64]]


class Points(Protocol):
    """What may be chosen: all values by parameter, and the points, of which equal ones may come more than once."""

    axes: dict[str, tuple[Value, ...]]

    def __len__(self) -> int: ...

    def at(self, place: int) -> Parameters | None:
        """The parameters of a point, without those that it does not have; None if it cannot run."""

    def whole(self, asked: Parameters) -> Parameters | None:
        """The point of a trial that was asked for these parameters; None if it is none of these points."""

    def near(self, point: Parameters, rng: random.Random) -> Iterator[Parameters]:
        """Points that differ from this one in one setting."""


class OfDomains:
    """All configurations of a space on a machine."""

    def __init__(self, domains: Domains, hw: Hardware) -> None:
        self.domains, self.hardware = domains, hw
        self.axes = suggest.axes(domains)
        self._count = suggest.count(domains)
        self._made = functools.lru_cache(REMEMBERED)(self._make)

    def __len__(self) -> int:
        return self._count

    def at(self, place: int) -> Parameters | None:
        """The point at a place; None if this machine cannot honour it."""
        return self._made(place)

    def _make(self, place: int) -> Parameters | None:
        config = suggest.nth(place, self.domains, self.hardware)
        if configs.unavailable(config, self.hardware) is not None:
            return None
        return suggest.parameters(config, self.domains, self.hardware)

    def whole(self, asked: Parameters) -> Parameters | None:
        """With the knobs that were not asked for, since beside the others they change nothing."""
        backend = self._backend(asked)
        try:
            return self.at(suggest.place(asked, backend, self.domains))
        except (KeyError, ValueError):  # an earlier version knew other values
            return None

    def near(self, point: Parameters, rng: random.Random) -> Iterator[Parameters]:
        """Every other value of each setting of a point; for another backend, random options."""
        for name in self.axes:
            for value in self.axes[name]:
                if point.get(name) != value and (found := self._changed(point, name, value, rng)) is not None:
                    yield found

    def _changed(self, point: Parameters, name: str, value: Value, rng: random.Random) -> Parameters | None:
        changed = {**point, name: value}
        backend = self._backend(changed)
        if "." in name and not name.startswith(f"{backend}."):
            return None
        return self.at(suggest.place(changed, backend, self.domains, rng))

    def _backend(self, point: Parameters) -> str:
        return str(point.get("backend", next(iter(self.domains.backends))))


class Encoding:
    """Points as bits, so that what two differ in is a product of matrices.

    `names` are the dimensions, `marked` the settings between which there is nothing: all values, of numbers and layouts
    the ends. A parameter of numbers is as far apart as their logarithms, on a scale from 0 to 1; a layout is two such,
    the cores that it uses and its workers; values of any other are equally far apart. What a point lacks, since another
    backend has it, is half a step from every value, of numbers the middle one: so that the distances are those of
    places, without which a kernel of them is no covariance.
    """

    def __init__(self, axes: Mapping[str, Sequence[Value]]) -> None:
        self._codes: dict[str, list[tuple[int, dict[Value, list[float]]]]] = {}
        owner: list[int] = []
        scale: list[float] = []
        lacking: list[float] = []
        self.names: list[str] = []
        self.marked = {(axis, value) for axis, values in axes.items() for value in _ends(axis, values)}
        for axis, values in axes.items():
            for name, codes, none, scales in _codes(axis, values):
                self._codes.setdefault(axis, []).append((len(owner), codes))
                owner += [len(self.names)] * len(scales)
                scale += scales
                lacking += none
                self.names.append(name)
        self.owner = np.array(owner, dtype=np.int64)
        self.scale = np.array(scale)
        self._lacking = np.array(lacking)

    def encode(self, points: Sequence[Parameters]) -> Encoded:
        """The points; a value that no axis has counts as lacking."""
        bits = np.tile(self._lacking, (len(points), 1))
        for row, point in enumerate(points):
            for axis, value in point.items():
                for first, codes in self._codes.get(axis, ()):
                    if (code := codes.get(value)) is not None:
                        bits[row, first : first + len(code)] = code
        return Encoded(self, bits)


@dataclass(frozen=True)
class Encoded:
    """Encoded points: their bits (points × bits)."""

    encoding: Encoding
    bits: Matrix

    def __len__(self) -> int:
        return len(self.bits)

    def rows(self, places: Sequence[int] | Any) -> Encoded:
        """Some of the points."""
        return Encoded(self.encoding, self.bits[places])

    def apart(self, other: Encoded, weights: Matrix) -> Matrix:
        """The weighted sum of the differences in all parameters (points × points of the other)."""
        weight = weights[self.encoding.owner] * self.encoding.scale
        mine, theirs = self.bits * weight, other.bits * weight
        return np.asarray(np.maximum(mine.sum(axis=1)[:, None] + theirs.sum(axis=1) - 2 * mine @ other.bits.T, 0.0))

    def each(self) -> Matrix:
        """The differences among these points in each parameter (parameters × points × points), from 0 to 1."""
        count = len(self.encoding.names)
        return np.array([self.apart(self, np.eye(count)[dimension]) for dimension in range(count)])


Codes = tuple[dict[Value, list[float]], list[float], list[float]]
"""The bits of each value, those of none, and what a difference in each bit counts."""


def _codes(axis: str, values: Sequence[Value]) -> Iterator[tuple[str, *Codes]]:
    """The dimensions of an axis by name."""
    if axis == "layout":
        layouts = {value: Layout.parse(str(value)) for value in values}
        yield f"{axis} cores", *_scale({value: layout.workers * layout.threads for value, layout in layouts.items()})
        yield f"{axis} workers", *_scale({value: layout.workers for value, layout in layouts.items()})
    elif numbers(values):
        yield axis, *_scale({value: float(value) for value in values})
    else:
        bits = np.eye(len(values))
        codes = {value: list(bits[place]) for place, value in enumerate(values)}
        yield axis, codes, [0.0] * len(values), [0.5] * len(values)


def _ends(axis: str, values: Sequence[Value]) -> Sequence[Value]:
    """The values that stand for all others."""
    if axis == "layout":
        return [pick(values, key=lambda value: Layout.parse(str(value)).workers) for pick in (min, max)]
    return [min(values), max(values)] if numbers(values) else values


def numbers(values: Sequence[Value]) -> bool:
    """Whether all values are numbers, which have an order."""
    return all(map(is_number, values))


def _scale(numbers: Mapping[Value, float]) -> Codes:
    """Numbers by their logarithms, 0 as half of the least; where some are negative, by themselves."""
    levels = sorted(set(numbers.values()))
    places = levels
    if levels[0] >= 0 and (above := [level for level in levels if level > 0]):
        places = [math.log2(level or above[0] / 2) for level in levels]
    width = (places[-1] - places[0]) or 1.0
    gaps = [(after - before) / width for before, after in itertools.pairwise(places)] or [0.0]
    steps = {level: [float(step < place) for step in range(len(gaps))] for place, level in enumerate(levels)}
    return {value: steps[number] for value, number in numbers.items()}, steps[levels[len(levels) // 2]], gaps
