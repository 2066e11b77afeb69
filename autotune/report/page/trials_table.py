"""The page's table of all trials: columns, rows and cells as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autotune.analysis.metrics import METRICS
from autotune.core.results import TrialResult
from autotune.report.text import dataframe, formatting
from autotune.report.text.dataframe import Row
from autotune.report.text.study_reader import Study

PRINTED = (
    "trial",
    "status",
    "rank",
    "throughput",
    "throughput_low",
    "throughput_high",
    "speedup",
    "evidence",
    "configuration",
    "error",
)
"""The columns that also a printed page has; the others would make it too wide."""

ALWAYS = ("trial", "status", "throughput", "configuration", "error")
MIB = 2**20


def columns(rows: Sequence[Row]) -> list[str]:
    """The columns that tell trials apart: a setting or metric that is the same in all of them is left out."""
    others = ("batch_size", "layout", "backend", *(name for name in METRICS if name not in PRINTED))
    names = [*PRINTED[:-1], *others, PRINTED[-1]]
    values = {name: {row[name] for row in rows if name in row} for name in names}
    return [name for name in names if len(values[name]) > (name not in ALWAYS)]


def rows(study: Study) -> list[Row]:
    """The rows with their configurations in words: the best first, then by their rates, those that failed last."""

    def place(row: Row) -> tuple[float, float]:
        return float(row.get("rank") or math.inf), -float(row.get("throughput") or 0.0)

    pairs = zip(dataframe.rows(study), study.results, strict=True)
    return sorted((row | {"configuration": _configuration(row, result)} for row, result in pairs), key=place)


def _configuration(row: Row, result: TrialResult) -> str:
    return formatting.configuration(result.spec.config) + (" (baseline)" if row["baseline"] else "")


def heading(name: str) -> str:
    """The head of a column, with the unit of its cells."""
    return name.replace("_bytes", " MiB") if name.endswith("_bytes") else name


def css_classes(name: str, rows: Sequence[Row]) -> str:
    """The CSS classes of a column: `number`, and `detail` for one that print leaves out."""
    number = not any(isinstance(row.get(name), str) for row in rows)
    return " ".join([*(["number"] if number else []), *([] if name in PRINTED else ["detail"])])


def cell(name: str, row: Row) -> str:
    """The text of a cell; empty where a trial has no such value."""
    value = row.get(name)
    if value is None:
        return ""
    if name == "status":
        return "beyond a limit" if value == "ok" and not row["feasible"] else str(value).replace("_", " ")
    if isinstance(value, float) or name.endswith("_bytes"):
        number = float(value) / (MIB if name.endswith("_bytes") else 1)
        return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
    return formatting.literal(value)
