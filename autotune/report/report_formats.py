"""A report in each of its formats, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from autotune.analysis.number_format import size
from autotune.core.struct import FORMAT
from autotune.report.export import writer
from autotune.report.page import html
from autotune.report.text import dataframe, failure_causes, formatting, summary, summary_sections
from autotune.report.text.markdown import literal, table
from autotune.report.text.study_reader import Study


def markdown(study: Study) -> str:
    """The summary, its tables, every trial and the failures by cause, for an issue or a pull request."""
    head, tables = summary_sections.parts(_summary(study))
    blocks = [f"# {literal(study.name)}", _list(head)]
    for part in tables:
        rows = [(figure, text) for figure, text in part.rows]
        blocks += [f"## {literal(part.title)}", table(("ratio", "of"), rows)]
    blocks += ["## All trials", literal(summary.WINDOWS.capitalize() + "."), _trials(study)]
    failed = [
        (
            str(len(one.trials)),
            one.status.replace("_", " "),
            one.error,
            formatting.configuration(one.example.spec.config),
        )
        for one in failure_causes.grouped(study.results)
    ]
    if failed:
        blocks += ["## Failures", table(("trials", "status", "error", "for example"), failed)]
    return "\n\n".join(blocks) + "\n"


def csv(study: Study) -> str:
    """Every trial in a row; `dataframe.frame` names the columns."""
    return dataframe.frame(study).to_csv(index=False)


def json(study: Study) -> str:
    """All that the other formats show, for programs: metrics as they were measured, not rounded."""
    found = {
        "format": FORMAT,
        "study": study.name,
        "workload": study.space.workload,
        "objective": study.space.goal.objectives,
        "constraints": study.space.constraints,
        "price": study.space.price,
        "hardware": study.hardware,
        "excluded": study.space.excluded,
        "summary": _summary(study),
        "evidence": _evidence(study),
        "confirmation": study.confirmation,
        "trials": dataframe.rows(study),
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"


FORMATS: dict[str, Callable[[Study], str]] = {"html": html.page, "markdown": markdown, "csv": csv, "json": json}


def write(study: Study, form: str, path: Path) -> None:
    """Write a report, whole or not at all; StudyError where the file cannot be written."""
    writer.save(path, FORMATS[form](study))


def _summary(study: Study) -> list[str]:
    return summary.summary(study)


def _evidence(study: Study) -> dict[str, object] | None:
    """The winner with its figures and the level that they are from: confirmed, interleaved or search."""
    found = study.evidence
    if found is None:
        return None
    known = {name: getattr(found, name) for name in ("level", "config", "rate", "ratio", "disturbed")}
    return {"trial": found.trial, **known}


def _list(head: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {f'**{literal(label)}** ' if label else ''}{literal(text)}" for label, text in head)


def _trials(study: Study) -> str:
    ranking, base = study.ranking, study.baseline
    measured = sorted((one for one in study.results if one.blocks), key=ranking.rate, reverse=True)
    rows = [
        (
            str(one.spec.id),
            formatting.outcome(ranking, one),
            formatting.speedup(ranking, one, base),
            "" if one.peak_rss_bytes is None else size(one.peak_rss_bytes),
            formatting.configuration(one.spec.config) + (" (baseline)" if one is base else ""),
        )
        for one in measured
    ]
    return table(("trial", "rate", "vs baseline", "memory", "configuration"), rows)
