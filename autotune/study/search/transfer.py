"""A warm start from earlier studies: their best configurations are a new one's first trials, and restrict none."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from autotune.core.config import Config, Layout
from autotune.core.errors import AutotuneError, StudyError
from autotune.core.files import write_atomically
from autotune.core.machine import Hardware
from autotune.core.space_types import Goal, Space
from autotune.core.struct import FORMAT, Struct, Value
from autotune.core.workload_spec import WorkloadSpec
from autotune.study.ranking import Ranking
from autotune.study.search import nearest
from autotune.study.storage import disk_errors, store

OF_ONE = 4
"""So many configurations are taken from one study at most."""

AT_MOST = 6
BESIDE = 8
"""So many studies beside a new one are read."""

FILE = "earlier.json"
UNREADABLE = (AutotuneError, OSError, ValueError, LookupError, ArithmeticError)
"""The errors that reading another's folder may raise, whatever is in its files."""


class EarlierStudy(Struct):
    """An earlier study, by the name of its folder, and the configurations that are taken from it as they fit here."""

    study: str
    configs: tuple[Config, ...]


class WarmStart(Struct):
    """The configurations that a study tries first, by the studies that they come from."""

    sources: tuple[EarlierStudy, ...] = ()
    format: int = FORMAT

    @property
    def configs(self) -> tuple[Config, ...]:
        """All of it, in order."""
        return tuple(config for source in self.sources for config in source.configs)


def find(folder: Path, resolved: Space, hw: Hardware, named: Sequence[Path] = ()) -> WarmStart:
    """The warm start of the study in `folder`: once it has trials the one that it began with, else a new one.

    These are the `named` ones, then those beside it, first of the same workload and then of this type of machine, the
    latest first. StudyError for a named one that cannot be read, or that a study with trials did not begin with.
    """
    folder = folder.resolve()
    wanted = tuple(dict.fromkeys(path.resolve() for path in named))
    if store.numbers(folder):
        return _stored(folder, wanted)
    sources: list[EarlierStudy] = []
    for path in (*wanted, *_beside(folder, resolved, hw, {folder, *wanted})):
        tried = [config for source in sources for config in source.configs]
        if len(tried) >= AT_MOST and path not in wanted:
            break
        try:
            configs = _best(path, resolved, hw, tried, wanted=path in wanted)
        except UNREADABLE as error:
            if path in wanted:
                what, _, _ = str(error).rpartition("; ")  # the advice is for whoever goes on with that study
                raise StudyError(f"--from {path}: {what or error}; leave it out") from error
            continue
        if configs or path in wanted:
            sources.append(EarlierStudy(study=path.name, configs=configs))
    return WarmStart(sources=tuple(sources))


def write(folder: Path, found: WarmStart) -> None:
    """Write it into the study's folder, so that a study that goes on has the same plan."""
    with disk_errors.reported(folder):
        write_atomically(folder / FILE, store.encode(found))


def _stored(folder: Path, named: Sequence[Path]) -> WarmStart:
    advice = "delete it, and nothing of earlier studies is tried"
    found = store.decode(folder / FILE, WarmStart, advice) if (folder / FILE).exists() else WarmStart()
    begun_with = [source.study for source in found.sources]
    if missing := [path.name for path in named if path.name not in begun_with]:
        raise StudyError(
            f"the study {folder} began without --from {missing[0]} (it has: {', '.join(begun_with) or 'none'}); "
            "leave that out, or choose another --name"
        )
    return found


def _beside(folder: Path, resolved: Space, hw: Hardware, known: Container[Path]) -> list[Path]:
    """The studies beside a folder of the same workload, then those of this type of machine, the latest first.

    What cannot be read is none, nor is one that was never run there, such as the example that comes with autotune.
    """
    found = []
    for file in folder.parent.glob("*/options.json"):
        with contextlib.suppress(*UNREADABLE):
            path = file.parent.resolve()
            ended = (path / "elapsed.json").stat().st_mtime  # without it no trial has
            same = _work(store.space(path).workload) == _work(resolved.workload)
            if path not in known and (same or store.hardware(path).fingerprint == hw.fingerprint):
                found.append((not same, -ended, path))
    return [path for *_, path in sorted(found)][:BESIDE]


def _best(path: Path, resolved: Space, hw: Hardware, tried: Sequence[Config], *, wanted: bool) -> tuple[Config, ...]:
    """The best of a study as they fit here: they differ in backend or options from each other and from those tried.

    The first one of a study that is `wanted` by name may differ from those tried in anything.
    """
    there = store.hardware(path)
    kinds = {_kind(config) for config in tried}
    found: list[Config] = []
    for config in _order(path, resolved.goal):
        own = wanted and not found
        if len(found) >= min(OF_ONE, AT_MOST - len(tried)) and not own:
            break
        layouts = resolved.domains.knobs.get("layout", ())
        here = nearest.nearest(
            resolved,
            hw,
            backend=config.backend,
            batch_size=config.workload.batch_size,
            options=config.options,
            knobs=config.knobs | {"layout": _layout(config.layout, len(there.cores), layouts, len(hw.cores))},
        )
        if here is None or here in (resolved.baseline, *tried):
            continue
        if own or _kind(here) not in kinds:
            kinds.add(_kind(here))
            found.append(here)
    return tuple(found)


def _order(path: Path, goal: Goal) -> list[Config]:
    """The configurations of a study that differ in backend or options, the best first.

    The best by what is wanted here; where nothing there has that or keeps these limits, by what was wanted there.
    """
    results = store.results(path)
    for wanted in (goal, store.space(path).goal):
        judged = Ranking(results, wanted)
        ranking = Ranking([judged.settled(result) for result in results], wanted)
        first: dict[Any, Config] = {}
        for result in ranking.order():
            first.setdefault(_kind(result.spec.config), result.spec.config)
        if first:
            return list(first.values())
    return []


def _layout(there: Layout, cores_there: int, values: Sequence[Value], cores_here: int) -> Value:
    """The value that uses most nearly the same share of the cores, and then splits them as nearly as much."""

    def distance(value: Value) -> tuple[float, float]:
        here = Layout.parse(str(value))
        used, used_there = here.workers * here.threads / cores_here, there.workers * there.threads / cores_there
        return abs(math.log(used / used_there)), abs(_split(here) - _split(there))

    return min(values, key=distance, default=str(there))


def _split(layout: Layout) -> float:
    """0 for one worker, 1 for one on each core, in between by the logarithm."""
    return math.log(layout.workers) / math.log(layout.workers * layout.threads) if layout.workers > 1 else 0.0


def _kind(config: Config) -> tuple[str, tuple[tuple[str, Value], ...]]:
    return config.backend, tuple(sorted(config.options.items()))


def _work(spec: WorkloadSpec) -> tuple[Any, ...]:
    """The model and its inputs, without the data that judge it and without the seed, which random weights depend on."""
    return spec.model, spec.inputs, spec.options
