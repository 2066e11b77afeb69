"""Spaces that were measured whole, as simulations: what a trial of a point gives, with its noise, and what it costs.

`Own` replays a table of `record.py`, `External` a grid of `spaces/external`.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import math
import random
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from recorded import FOLDER, Row, Table, read

from autotune.analysis import drift, stats
from autotune.core.results import Block
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct, Value
from autotune.launch import measure
from autotune.launch.blocks import BlockRunner
from autotune.study.model import suggest
from autotune.study.model.points import DomainPoints, Parameters, Points
from autotune.study.ranking import FEW_BLOCKS, window_noise
from autotune.study.search import recipes

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Key = frozenset[tuple[str, Value]]
DRAWN = 3
"""So many repetitions of an external grid make a trial."""


class Outcome(Struct):
    """What a trial gives and what it cost: the rate (a second), None if it failed, and the deviation of its logarithm.

    One that is not `complete` failed or was given up as slow; one that breaks a limit counts as failed. `blocks` are
    those of a recorded trial that were taken.
    """

    seconds: float
    rate: float | None = None
    noise: float = FEW_BLOCKS
    complete: bool = False
    blocks: tuple[Block, ...] = ()


class Replay(Protocol):
    """A simulated space.

    `axes` has the values of all parameters, in the order in which somebody would try them by hand; `first` the baseline
    and the recipes; `truths` the log rates of the points that run and keep the limits.
    """

    name: str
    axes: Mapping[str, tuple[Value, ...]]
    points: Points
    first: tuple[Parameters, ...]
    truths: Mapping[Key, float]

    def choose(self, trial: BaseTrial) -> Parameters:
        """The point that an Optuna trial is for."""

    def trial(self, point: Parameters, incumbent: float | None, dice: random.Random, made: set[str]) -> Outcome:
        """A trial of a point against the best rate so far; `made` keeps what the simulated study has prepared."""


def key(point: Parameters) -> Key:
    """Equal for equal points."""
    return frozenset(point.items())


def names() -> list[str]:
    """The spaces that can be replayed: those recorded here, then the external ones."""
    folders = (FOLDER, FOLDER / "external")
    return [path.name.partition(".")[0] for folder in folders for path in sorted(folder.glob("*.json.gz"))]


def recorded(name: str) -> bool:
    """Whether a space was recorded by `record.py`."""
    return _path(name).parent == FOLDER


def load(name: str) -> Replay:
    """One of `names`."""
    if recorded(name):
        return Own(name, read(_path(name)))
    return External(name, json.loads(gzip.decompress(_path(name).read_bytes())))


@functools.cache
def digest(name: str) -> str:
    """Which table or grid it is, in eight digits."""
    return hashlib.sha256(_path(name).read_bytes()).hexdigest()[:8]


def _path(name: str) -> Path:
    own = FOLDER / f"{name}.json.gz"
    return own if own.exists() else FOLDER / "external" / f"{name}.json.gz"


# --------------------------------------------------------------------------------------------------------- our own


class Own:
    """A table: trials are measured as a study measures them, on the recorded blocks."""

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.space, self.hardware = table.space, table.hardware
        self.rows = {key(row.parameters): row for row in table.rows}
        fitted = drift.fit([blocks for row in table.rows for blocks in launches(row)])
        self.rules = MeasureRules(correction=fitted)
        self.rates = {
            place: statistics.fmean(
                statistics.fmean(map(math.log, drift.corrected(blocks, fitted))) for blocks in launches(row)
            )
            for place, row in self.rows.items()
            if row.status.measured
        }
        """The log rates of all points that run."""
        self.truths = {place: rate for place, rate in self.rates.items() if self.rows[place].feasible}
        self.points = DomainPoints(self.space.domains, self.hardware)
        self.axes = dict(sorted(self.points.axes.items(), key=lambda axis: self._by_hand(axis[0])))
        advised = (self._parameters(config) for config in recipes.first(self.space, self.hardware))
        self.first = tuple(point for point in advised if point is not None)
        made = sorted((row.artifact, row.prepare_s) for row in table.rows if row.artifact is not None)
        self.prepare_s = dict(made)  # of several figures for one artifact the largest comes last

    def choose(self, trial: BaseTrial) -> Parameters:
        """As the driver asks a sampler."""
        point = self._parameters(suggest.suggest(cast(Any, trial), self.space.domains, self.hardware))
        assert point is not None, "what is suggested lies within the domains"
        return point

    def trial(self, point: Parameters, incumbent: float | None, dice: random.Random, made: set[str]) -> Outcome:
        """`launch.measure` on the blocks of a recorded launch, in a circle from a random one on."""
        row = self.rows.get(key(point))
        if row is None:  # what the machine cannot honour costs nothing
            return Outcome(seconds=0.0)
        if not row.status.measured:
            return Outcome(seconds=row.wall_s)
        blocks = dice.choice(launches(row))
        circle = _Circle(blocks, dice.randrange(len(blocks)))
        found = measure.measure(cast(BlockRunner, circle), self.rules, incumbent, lambda _: None)
        start_s, block_s = spent(row)
        seconds = start_s + circle.taken * block_s
        if row.artifact is not None and row.artifact not in made:
            made.add(row.artifact)
            seconds += self.prepare_s[row.artifact]
        if not row.feasible:
            return Outcome(seconds=seconds)
        rates = stats.interval(drift.corrected(found.blocks, self.rules.correction), self.rules.confidence)
        return Outcome(
            seconds=seconds,
            rate=rates.estimate,
            noise=window_noise(rates),
            complete=not found.rejected,
            blocks=tuple(found.blocks),
        )

    def _parameters(self, config: Any) -> Parameters | None:
        return suggest.parameters(config, self.space.domains, self.hardware)

    def _by_hand(self, axis: str) -> int:
        """As the articles go: batch, the plain backend's options, the process, other backends, their options."""
        if axis == "batch_size" or axis.startswith(f"{self.space.baseline.backend}."):
            return 0
        return 3 if "." in axis else 2 if axis == "backend" else 1


@dataclass
class _Circle:
    """A bench whose blocks were recorded."""

    blocks: tuple[Block, ...]
    place: int
    taken: int = 0

    def block(self) -> Block:
        found = self.blocks[(self.place + self.taken) % len(self.blocks)]
        self.taken += 1
        return found


def launches(row: Row) -> list[tuple[Block, ...]]:
    """The blocks of each launch of a configuration that runs."""
    return [blocks for blocks in (row.blocks, *row.again) if blocks]


def spent(row: Row) -> tuple[float, float]:
    """What a recorded trial took (s): all but its blocks and its preparation, and each of its blocks.

    A block's time reaches to the next block; those of the warm-up, which were not recorded, have taken the same.
    """
    first, last = row.blocks[0], row.blocks[-1]
    block_s = (last.start_ns - first.start_ns) / 1e9 / (last.number - first.number)
    return max(0.0, row.wall_s - row.prepare_s - (last.number + 1) * block_s), block_s


# -------------------------------------------------------------------------------------------------------- external


class External:
    """A grid of the benchmark hub: trials of three of its repetitions, none given up; what it lacks fails at once."""

    def __init__(self, name: str, grid: dict[str, Any]) -> None:
        self.name = name
        params: dict[str, list[Value]] = grid["tune_params"]
        self.axes = {axis: tuple(params[axis]) for axis in grid["tune_params_keys"] if len(params[axis]) > 1}
        self.entries = {key({axis: entry[axis] for axis in self.axes}): entry for entry in grid["cache"].values()}
        self.truths = {
            place: -math.log(statistics.fmean(entry["times"]) / 1e3)
            for place, entry in self.entries.items()
            if not isinstance(entry["time"], str)
        }
        self.points = Product(self.axes)
        self.first = ({axis: values[0] for axis, values in self.axes.items()},)
        self.refused_s = statistics.median(entry["framework_time"] for entry in self.entries.values()) / 1e3

    def choose(self, trial: BaseTrial) -> Parameters:
        """Every parameter for itself."""
        return {axis: cast(Value, trial.suggest_categorical(axis, values)) for axis, values in self.axes.items()}

    def trial(self, point: Parameters, incumbent: float | None, dice: random.Random, made: set[str]) -> Outcome:
        """Compiled and measured anew each time."""
        entry = self.entries.get(key(point))
        if entry is None:
            return Outcome(seconds=self.refused_s)
        start_s = (entry["compile_time"] + entry["framework_time"]) / 1e3
        if key(point) not in self.truths:
            return Outcome(seconds=start_s + entry["benchmark_time"] / 1e3)
        times = dice.sample(entry["times"], DRAWN)
        rates = stats.interval([1e3 / time for time in times], MeasureRules().confidence)
        seconds = start_s + entry["benchmark_time"] / 1e3 * DRAWN / len(entry["times"])
        return Outcome(seconds=seconds, rate=rates.estimate, noise=window_noise(rates), complete=True)


@dataclass(frozen=True)
class Product:
    """All combinations of some values."""

    axes: dict[str, tuple[Value, ...]]

    def __len__(self) -> int:
        return math.prod(map(len, self.axes.values()))

    def at(self, place: int) -> Parameters:
        """The combination at a place."""
        point: Parameters = {}
        for axis, values in self.axes.items():
            place, digit = divmod(place, len(values))
            point[axis] = values[digit]
        return point

    def of_trial(self, asked: Parameters) -> Parameters:
        """The same: every combination has all parameters."""
        return asked

    def neighbours(self, point: Parameters, dice: random.Random) -> Iterator[Parameters]:
        """Those that differ in one parameter."""
        for axis, values in self.axes.items():
            yield from ({**point, axis: value} for value in values if value != point[axis])
