"""The command `compare`: studies of the same work and goal in a group each, with their rows, ratios and front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune.core.errors import StudyError
from autotune.core.struct import digest
from autotune.report.compare import cross_machine, pareto_front
from autotune.report.compare.best_row import best_row
from autotune.report.compare.comparison_types import Comparison, Group, Row
from autotune.report.text.study_reader import Study
from autotune.space import goal_section


def compare(studies: Sequence[Study], prices: Path | None = None) -> Comparison:
    """The studies by the work and the goal that they share.

    `prices` is a file of prices for all of them, instead of each study's own. StudyError for fewer than two studies or
    one that is named twice, SpaceError for a file that is not one of prices.
    """
    _check(studies)
    named = dict(zip(_names(studies), studies, strict=True))
    rows = {name: best_row(name, study, prices) for name, study in named.items()}
    groups: dict[str, list[str]] = {}
    for name, study in named.items():
        groups.setdefault(_question(study), []).append(name)
    return Comparison(
        groups=tuple(
            _group({name: named[name] for name in names}, [rows[name] for name in names]) for names in groups.values()
        )
    )


def _check(studies: Sequence[Study]) -> None:
    if len(studies) < 2:
        got = ", ".join(study.name for study in studies) or "none"
        raise StudyError(f"compare takes two studies or more; got {got}; name another, or use show for one")
    seen: set[Path] = set()
    for study in studies:
        folder = study.folder.resolve()
        if folder in seen:
            raise StudyError(f"the study {study.folder} is named twice; name each once")
        seen.add(folder)


def _names(studies: Sequence[Study]) -> list[str]:
    """The studies' names, or their paths where two names are equal; every letter printable."""
    names = [study.name for study in studies]
    shown = [
        name if names.count(name) == 1 else str(study.folder.resolve())
        for name, study in zip(names, studies, strict=True)
    ]
    return ["".join(letter if letter.isprintable() else "?" for letter in name) for name in shown]


def _question(study: Study) -> str:
    """Equal where the same work was searched for the same goal; seeds, batch sizes and prices are no part of it."""
    workload = msgspec.structs.replace(study.space.workload, seed=0, batch_size=None)
    return digest([workload, study.space.goal.objectives, _limits(study)])


def _limits(study: Study) -> list[str]:
    return sorted(digest(limit) for limit in goal_section.written(study.space.constraints))


def _group(studies: dict[str, Study], rows: list[Row]) -> Group:
    first = next(iter(studies.values())).space
    configs = {row.study: row.config for row in rows if row.config is not None}
    return Group(
        workload=first.workload,
        objective=first.goal.objectives,
        constraints=first.constraints,
        rows=tuple(sorted(rows, key=lambda row: (row.cost_per_million is None, _place(row)))),
        crossings=cross_machine.crossings(studies, configs),
        front=pareto_front.front(studies, rows),
        notes=_notes(rows),
    )


def _place(row: Row) -> float:
    if row.cost_per_million is not None:
        return row.cost_per_million.estimate
    return math.inf if row.throughput is None else -row.throughput.estimate


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    notes = []
    currencies = sorted(pareto_front.currencies(rows))
    if len(currencies) > 1:
        shown = " and ".join(name or "none named" for name in currencies)
        notes.append(f"the prices are in different currencies ({shown}): give all in one with --prices FILE")
    machines: dict[str, list[str]] = {}
    for row in rows:
        machines.setdefault(row.fingerprint, []).append(row.study)
    notes += [
        f"{' and '.join(names)} ran on the same type of machine, at different times"
        for names in machines.values()
        if len(names) > 1
    ]
    return tuple(notes)
