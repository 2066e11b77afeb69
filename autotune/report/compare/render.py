"""A comparison as text: tables for a terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autotune.analysis.number_format import size
from autotune.core.estimate import Estimate
from autotune.report.compare.comparison_types import Comparison, Crossing, Front, Group, Row
from autotune.report.text import formatting
from autotune.report.text.markdown import literal, table
from autotune.space import goal_section
from autotune.study.storage import store

MARK = "*"
UNCONFIRMED = f"{MARK} not confirmed"
APART = (
    "these studies are of different work or for different goals: each group answers its own question, and nothing is "
    "compared between groups"
)
SHOWN = ("throughput", "peak_rss_bytes", "cost_per_million")
"""Objectives that have a column always."""

LEAST_ROOM = 40
"""A configuration has so many letters of a line; it may wrap."""


@dataclass(frozen=True)
class Part:
    """A heading, lines below it, and a table, whose last column may be long."""

    title: str
    lines: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def parts(found: Comparison) -> list[Part]:
    """Everything that is said, in order; a table says nothing that a study does not have."""
    apart = [Part(f"{len(found.groups)} groups", (APART,))] if len(found.groups) > 1 else []
    return [*apart, *(part for group in found.groups for part in _of_group(group))]


def renderable(found: Comparison) -> RenderableType:
    """For a terminal; wide, since no number is cut."""
    return Stack(*(item for part in parts(found) for item in _rendered(part)))


def markdown(found: Comparison) -> str:
    """For an issue or a pull request."""
    blocks = []
    for part in parts(found):
        blocks.append(f"## {literal(part.title)}")
        blocks += ["\n".join(f"- {literal(line)}" for line in part.lines)] if part.lines else []
        blocks += [table(part.head, part.rows)] if part.rows else []
    return "\n\n".join(blocks) + "\n"


def as_csv(found: Comparison) -> str:
    """A row a study, with a column a metric; studies of one `group` may be compared."""
    rows = [_flat(number, group, row) for number, group in enumerate(found.groups, 1) for row in group.rows]
    names = dict.fromkeys(name for row in rows for name in row)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def json(found: Comparison) -> str:
    """All that is known, unrounded; `comparison.py` says what the keys are."""
    return store.encode(found).decode()


FORMATS: dict[str, Callable[[Comparison], str]] = {"markdown": markdown, "csv": as_csv, "json": json}

# ------------------------------------------------------------------------------------------------------- the parts


def _of_group(group: Group) -> list[Part]:
    gain, over = formatting.gain(group.objective[0])
    others = [name for name in group.objective if name not in SHOWN]
    head = ("study", "instance type", "rate", gain, "latency", "memory", "cost per million", *others, "configuration")
    rows = tuple(_cells(row, others) for row in group.rows)
    filled = [place for place in range(len(head)) if any(row[place] for row in rows)]
    notes = [f"{row.study}: {note}" for row in group.rows for note in row.notes]
    marked = [UNCONFIRMED] if any(row.config is not None and not row.confirmed for row in group.rows) else []
    first = Part(
        title=_title(group),
        lines=(*notes, *group.notes, f"{gain}: {over} the baseline of the same machine", *marked),
        head=tuple(head[place] for place in filled),
        rows=tuple(tuple(row[place] for place in filled) for row in rows),
    )
    found = [first]
    if group.crossings:
        found.append(_elsewhere(group))
    if group.front is not None:
        found.append(_front(group.front, group))
    return found


def _title(group: Group) -> str:
    limits = [formatting.bounds(limit) for limit in goal_section.written(group.constraints)]
    within = f", with {', '.join(limits)}" if limits else ""
    return f"{group.workload.model}: the best by {' and '.join(group.objective)}{within}"


def _cells(row: Row, others: Sequence[str]) -> tuple[str, ...]:
    percentile = None if row.latency_percentile is None else (row.latency_percentile, row.latency_ms or 0.0)
    mark = "" if row.confirmed else MARK
    return (
        row.study,
        row.instance_type,
        "" if row.throughput is None else f"{formatting.rate(row.throughput)}{mark}",
        "" if row.ratio is None else f"{formatting.times(row.ratio.estimate)}{formatting.between(row.ratio)}{mark}",
        formatting.latency(percentile),
        "" if row.peak_rss_bytes is None else size(row.peak_rss_bytes),
        "" if row.cost_per_million is None else _cost(row.cost_per_million.estimate, row),
        *(formatting.metric(name, row.metrics[name]) if name in row.metrics else "" for name in others),
        "" if row.config is None else formatting.configuration(row.config),
    )


def _cost(cost: float, row: Row) -> str:
    return formatting.metric("cost_per_million", cost, row.price)


def _elsewhere(group: Group) -> Part:
    """A line for each winner, a column for each machine on which it might have been measured."""
    names = [row.study for row in group.rows if row.config is not None]
    found = {(one.tuned_on, one.measured_on): one for one in group.crossings}
    marked = [UNCONFIRMED] if any(one.ratio is not None and not one.confirmed for one in group.crossings) else []
    rows = tuple(
        (name, *("its own" if name == other else _crossed(found[name, other]) for other in names)) for name in names
    )
    return Part(
        title="What a winner loses on the other machines",
        lines=(f"by {group.objective[0]}: how many times as good as the best one there it was there", *marked),
        head=("the best of", *(f"on {name}" for name in names)),
        rows=rows,
    )


def _crossed(one: Crossing) -> str:
    if one.ratio is None:
        return one.remark or ""
    mark = "" if one.confirmed else MARK
    remark = "" if one.remark is None else f", {one.remark}"
    return f"{formatting.times(one.ratio.estimate)}{formatting.between(one.ratio)}{mark}{remark}"


def _front(front: Front, group: Group) -> Part:
    priced = {row.study: row for row in group.rows}
    rows = tuple(
        (
            _cost(point.cost_per_million, priced[point.study]),
            formatting.latency((front.latency.split("_")[1], point.latency_ms)) + ("" if point.confirmed else MARK),
            point.study,
            "" if point.trial is None else str(point.trial),
            formatting.configuration(point.config),
        )
        for point in front.points
    )
    out = f"; {front.left_out} others made too few calls for it" if front.left_out else ""
    marked = [UNCONFIRMED] if not all(point.confirmed for point in front.points) else []
    return Part(
        title="Cost against latency: no other one is both cheaper and quicker",
        lines=(f"of {front.candidates - front.left_out} configurations, by {front.latency}{out}", *marked),
        head=("cost per million", "latency", "study", "trial", "configuration"),
        rows=rows,
    )


# ---------------------------------------------------------------------------------------------------- their shapes


def _rendered(part: Part) -> list[RenderableType]:
    found: list[RenderableType] = [Text(part.title, style="bold")]
    if part.rows:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in part.head[:-1]:
            table.add_column(Text(name), overflow="fold")
        table.add_column(Text(part.head[-1]), overflow="fold", min_width=min(LEAST_ROOM, len(part.rows[0][-1])))
        for row in part.rows:
            table.add_row(*(Text(cell) for cell in row))
        found.append(table)
    return [*found, *(Text(line) for line in part.lines), Text()]


def _flat(number: int, group: Group, row: Row) -> dict[str, object]:
    price = row.price
    return {
        "group": number,
        "study": row.study,
        "instance_type": row.instance_type,
        "cpu_model": row.cpu_model,
        "cores": row.cores,
        "model": group.workload.model,
        "objective": " ".join(group.objective),
        "trials": row.trials,
        "confirmed": row.confirmed,
        "configuration": "" if row.config is None else formatting.configuration(row.config),
        **_interval("throughput", row.throughput),
        **_interval("ratio", row.ratio),
        "latency_percentile": row.latency_percentile,
        "latency_ms": row.latency_ms,
        "peak_rss_bytes": row.peak_rss_bytes,
        **_interval("cost_per_million", row.cost_per_million),
        "currency": None if price is None else price.currency,
        "price_per_hour": None if price is None else price.per_hour,
        "notes": "; ".join(row.notes),
    }


def _interval(name: str, found: Estimate | None) -> dict[str, float | None]:
    held = (None, None, None) if found is None else (found.estimate, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), held, strict=True))
