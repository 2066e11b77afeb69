"""The table of a study's trials."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from autotune.analysis import metrics
from autotune.analysis.metrics import METRICS
from autotune.analysis.number_format import size
from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Space
from autotune.report.text import formatting
from autotune.study import versions
from autotune.study.ranking import Ranking
from autotune.study.storage import latency_files

ROOM = 20
"""A configuration has so much room however narrow the terminal."""


def counted(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The results that say something: a trial that was cut short is measured again as one of its own."""
    return [result for result in results if result.status is not Status.INTERRUPTED]


def trials(folder: Path, results: Sequence[TrialResult], space: Space) -> RenderableType:
    """All trials, the best first, then those that failed with the reason; the configuration last, since it may wrap.

    Those that were given up, or break a limit, are dim. With several objectives those of the front come first.
    """
    ranking = Ranking(results, space.goal)
    columns = _columns(folder, ranking, space)
    base = ranking.baseline(space.baseline)
    table = _Lines(tuple(columns), tuple(_line(result, columns, base) for result in _sorted(ranking)))
    failed = [r for r in results if not r.blocks]
    return Group(table, *_failures(failed)) if failed else table


@dataclass(frozen=True)
class _Line:
    """A trial's cells, and its configuration."""

    cells: tuple[str, ...]
    configuration: str
    style: str = ""


def _line(result: TrialResult, columns: dict[str, Cell], base: TrialResult | None) -> _Line:
    config = formatting.configuration(result.spec.config) + (" (baseline)" if result is base else "")
    complete = result.status is Status.OK and result.feasible
    return _Line(tuple(cell(result) for cell in columns.values()), config, "" if complete else "dim")


@dataclass(frozen=True)
class _Lines:
    """Columns set to the right, then the configuration, which wraps; rich's own table takes a millisecond a line."""

    head: tuple[str, ...]
    lines: tuple[_Line, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = (_Line(self.head, "configuration", "bold"), *self.lines)
        widths = [max(map(cell_len, column)) for column in zip(*(line.cells for line in lines), strict=True)]
        indent = sum(widths) + 2 * len(widths)
        room = max(options.max_width - indent, ROOM)
        for line in lines:
            cells = zip(line.cells, widths, strict=True)
            left = "".join(" " * (width - cell_len(cell)) + f"{cell}  " for cell, width in cells)
            style = console.get_style(line.style) if line.style else None
            for part in _wrapped(line.configuration, room, console):
                yield Segment(f"{left}{part}\n", style)
                left = " " * indent


def _wrapped(text: str, room: int, console: Console) -> list[str]:
    if text.isascii():
        return textwrap.wrap(text, room, break_on_hyphens=False)
    return [part.plain.rstrip() for part in Text(text).wrap(console, room)]


Cell = Callable[[TrialResult], str]


def _columns(folder: Path, ranking: Ranking, space: Space) -> dict[str, Cell]:
    goal, base = space.goal, ranking.baseline(space.baseline)

    def calls(result: TrialResult) -> str:
        found = latency_files.summary(folder, result)
        if found is None or found.backed is None:
            return ""
        return formatting.latency((found.backed, metrics.percentile_ms(found, found.backed)))

    found: dict[str, Cell] = {
        "trial": lambda result: str(result.spec.id),
        "rate": lambda result: formatting.outcome(ranking, result),
        "vs baseline": lambda result: formatting.speedup(ranking, result, base),
        "latency": calls,
        "memory": lambda result: "" if result.peak_rss_bytes is None else size(result.peak_rss_bytes),
        "set-up": lambda result: "" if result.setup_s is None else f"{result.setup_s:.1f} s",
    }
    for name in _metrics(space):
        found[_heading(name, space)] = _Value(ranking, name)
    if goal.limits:
        found["limits"] = lambda result: formatting.limits(ranking.checks(result))
    if older := versions.outdated(ranking.results):
        found["versions"] = lambda result: ", ".join(" ".join(one) for one in older.get(result.spec.id, {}).items())
    if len(goal.objectives) > 1:
        front = {result.spec.id: "knee" if place == 0 else "front" for place, result in enumerate(ranking.order())}
        found["front"] = lambda result: front.get(result.spec.id, "")
    return found


def _metrics(space: Space) -> list[str]:
    """The metrics with a column of their own: the objectives, then those for which the space gives what they need."""
    given = {"price": space.price, "data": space.workload.labelled, "serving": space.workload.serving}
    objectives = [name for name in space.goal.objectives if METRICS[name].column != "always"]
    needed = [name for name, about in METRICS.items() if about.column == "needed" and given.get(about.needs or "")]
    return list(dict.fromkeys([*objectives, *needed]))


def _heading(name: str, space: Space) -> str:
    """The metric's name; for the accuracy that of the user's own."""
    if name == "accuracy" and space.workload.labelled is not None:
        return str(space.workload.labelled.metric).rpartition(":")[2]
    return name


@dataclass(frozen=True)
class _Value:
    """A column with one metric; empty where a trial has none."""

    ranking: Ranking
    name: str

    def __call__(self, result: TrialResult) -> str:
        value = self.ranking.known(result).get(self.name)
        return "" if value is None else formatting.metric(self.name, value, self.ranking.goal.price)


def _sorted(ranking: Ranking) -> list[TrialResult]:
    """By the first objective; with several those of the front before the others."""
    best = {result.spec.id: place for place, result in enumerate(ranking.order())}
    front = best if len(ranking.goal.objectives) > 1 else {}

    def place(result: TrialResult) -> tuple[int, float]:
        scores = ranking.scores(result)
        return front.get(result.spec.id, len(front)), math.inf if scores is None else -scores[0]

    return sorted((result for result in ranking.results if result.blocks), key=place)


def _failures(failed: Sequence[TrialResult]) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(), Text(f"{len(failed)} failed:", style="bold")]
    for result in failed:
        status = result.status.replace("_", " ")
        lines.append(
            Text(f"{result.spec.id:>5}  {formatting.configuration(result.spec.config)}: {status}: {result.error}")
        )
    return lines
