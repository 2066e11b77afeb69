"""A study as one HTML file that needs nothing else: no network, and for its tables no JavaScript either.

plotly.js is what makes it large, so it is kept compressed (1.9 MB instead of 4.7) and unpacked by the browser. Its
smaller builds would have to be shipped with autotune and kept in step with plotly.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autotune.report.page import machine_part, rerun_commands, trials_table
from autotune.report.page.part import Part
from autotune.report.text import failure_causes, formatting, summary, summary_sections
from autotune.report.text.study_reader import Study
from autotune.study.storage import store

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TEMPLATES = Path(__file__).parent / "templates"

SUMMARY = {
    "what each setting is worth": Part(
        "What each setting is worth",
        "The winner with the setting over the winner without it, from interleaved runs. The grey band is the noise "
        "floor. What only one run measured has no figure.",
        ("ablation",),
    ),
    "the way from": Part(
        "The way from the baseline to the winner",
        "Each step is over the baseline, in runs of its own; the last figure is the claim.",
        ("path",),
    ),
}
"""The parts for the summary's tables, by the beginnings of their titles; others keep their titles."""

SEARCH = (
    Part(
        "Rates over the study",
        "One mark a trial with the 90 % interval of its own window; hollow ones cannot win, since they were given up "
        "or break a limit. The dotted line is the baseline.",
        ("rates",),
    ),
    Part(
        "Settings and rate",
        "A line a trial through its settings to its rate; of more than 1,000 the fastest and some of the others. An "
        "option shares its axis over the backends; those that do not have it are at none.",
        ("parallel",),
    ),
    Part("Batch size and layout", "The best rate of each pair.", ("heat_map",)),
    Part(
        "Importances",
        "Which settings set the fastest tenth of the trials apart, by Optuna's PED-ANOVA. This is approximate: it "
        "describes the sample that the search drew and not the machine. What a setting is worth is measured, above.",
        ("importances",),
    ),
    Part(
        "Latency",
        "The calls of the finalists (before a confirmation: of the best trials), all workers together. The steps to "
        "the right are the tail; a percentile that few calls back is only what was seen.",
        ("latencies",),
    ),
    Part(
        "The machine over the study",
        "The canary's three small computations around each trial: how fast the machine was beside what is measured.",
        ("drift",),
    ),
)


def page(study: Study) -> str:
    """The report's HTML; plots that a study has nothing for are left out."""
    import jinja2

    lines = summary.summary(study)
    head, tables = summary_sections.parts(lines)
    parts = [*map(_of_summary, tables), *SEARCH, *_failures(study)]
    figures = {name: _figure(name, study) for name in dict.fromkeys(name for part in parts for name in part.plots)}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = trials_table.rows(study)
    columns = trials_table.columns(rows)
    return environment.get_template("report.html.j2").render(
        name=study.name,
        head=head,
        parts=[part for part in parts if part.table or any(figures[name] for name in part.plots)],
        machine=machine_part.parts(study),
        figures={name: figure for name, figure in figures.items() if figure},
        columns=[trials_table.heading(name) for name in columns],
        windows=f"{summary.WINDOWS.capitalize()}. The winner's row has the figures of its evidence.",
        rows=[[trials_table.cell(name, row) for name in columns] for row in rows],
        kinds=[trials_table.css_classes(name, rows) for name in columns],
        commands=rerun_commands.commands(study),
        space=store.text(study.folder),
        plotly=_plotly() if any(figures.values()) else "",
        nonce=secrets.token_urlsafe(16),
    )


# -------------------------------------------------------------------------------------------------------- parts


def _of_summary(table: summary_sections.Table) -> Part:
    known = next((part for begin, part in SUMMARY.items() if table.title.startswith(begin)), None)
    part = known or Part(table.title[0].upper() + table.title[1:])
    figures = any(figure for figure, _ in table.rows)
    rows = table.rows if figures else [(text,) for _, text in table.rows]
    head = ("ratio", "of") if figures else ("",)
    return Part(part.title, part.says, part.plots, (head, *rows))


def _failures(study: Study) -> list[Part]:
    causes = failure_causes.grouped(study.results)
    if not causes:
        return []
    rows = [
        (
            str(len(cause.trials)),
            str(cause.status).replace("_", " "),
            cause.error,
            formatting.configuration(cause.example.spec.config),
            f"{cause.example.spec.folder}/stderr.log",
        )
        for cause in causes
    ]
    says = (
        "By cause, the most frequent first. The configuration and the log (in the study's folder) are the first one's."
    )
    head = ("trials", "status", "error", "for example", "log")
    return [Part("Failures", says, ("failures",), (head, *rows))]


# --------------------------------------------------------------------------------------------------------- plots


def _figure(name: str, study: Study) -> str:
    """A plot as JSON that may stand in a script element; empty where there is nothing to show."""
    plot: Figure | None = importlib.import_module(f"autotune.report.page.plots.{name}").figure(study)
    if plot is None:
        return ""
    plain: dict[str, Any] = msgspec.json.decode(plot.to_json())
    # The page gives every plot its own colours and fonts.
    plain["layout"] = {key: value for key, value in plain["layout"].items() if key not in ("template", "width")}
    return msgspec.json.encode(plain).decode().replace("<", "\\u003c")


def _plotly() -> str:
    import plotly.offline

    return base64.b64encode(gzip.compress(plotly.offline.get_plotlyjs().encode(), mtime=0)).decode()
