"""A study as one HTML file that needs nothing else: no network, and for its tables no JavaScript either.

plotly.js is what makes it large, so it is kept compressed (1.9 MB instead of 4.7) and unpacked by the browser. Its
smaller builds would have to be shipped with autotune and kept in step with plotly.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import math
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autotune.analysis.metrics import METRICS
from autotune.analysis.number_format import size
from autotune.core.results import TrialResult
from autotune.report.text import dataframe, failure_causes, formatting, summary, summary_sections
from autotune.report.text.dataframe import Row
from autotune.report.text.study_reader import Study
from autotune.study.storage import store

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TEMPLATES = Path(__file__).parent / "templates"
PRINTED = (
    "trial",
    "status",
    "rank",
    "throughput",
    "throughput_low",
    "throughput_high",
    "speedup",
    "configuration",
    "error",
)
"""The columns that also a printed page has; the others would make it too wide."""

ALWAYS = ("trial", "status", "throughput", "configuration", "error")
MIB = 2**20


@dataclass(frozen=True)
class Part:
    """A part of the page: what it shows in a sentence, the plots in it, and a table whose first row is its head."""

    title: str
    says: str = ""
    plots: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


SUMMARY = {
    "what each setting is worth": Part(
        "What each setting is worth",
        "The winner with the setting over the winner without it, from runs; the grey band is the noise floor.",
        ("ablation",),
    ),
    "the way from": Part("The way from the plain model to the winner", "Each step is over the plain model.", ("path",)),
}
"""Where the summary's own tables go, by how their titles begin; others keep their titles."""

SEARCH = (
    Part(
        "Rates over the study",
        "One mark a trial with the 90 % interval of its own window; hollow ones cannot win, since they were given up "
        "or break a limit. The dotted line is the plain model.",
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

    lines = summary.summary(study.folder, study.results, study.space, study.confirmation)
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
    rows = _rows(study)
    columns = _columns(rows)
    return environment.get_template("report.html.j2").render(
        name=study.name,
        head=head,
        parts=[part for part in parts if part.table or any(figures[name] for name in part.plots)],
        machine=_machine(study),
        figures={name: figure for name, figure in figures.items() if figure},
        columns=[_heading(name) for name in columns],
        rows=[[_cell(name, row) for name in columns] for row in rows],
        kinds=[_kind(name, rows) for name in columns],
        commands=_commands(study),
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
    found = failure_causes.grouped(study.results)
    if not found:
        return []
    rows = [
        (
            str(len(cause.trials)),
            str(cause.status).replace("_", " "),
            cause.error,
            formatting.configuration(cause.example.spec.config),
            f"{cause.example.spec.folder}/stderr.log",
        )
        for cause in found
    ]
    says = (
        "By cause, the most frequent first. The configuration and the log (in the study's folder) are the first one's."
    )
    head = ("trials", "status", "error", "for example", "log")
    return [Part("Failures", says, ("failures",), (head, *rows))]


def _machine(study: Study) -> list[Part]:
    hw, space = study.hardware, study.space
    versions = dict(sorted({item for result in study.results for item in result.versions.items()}))
    facts = [
        ("instance type", hw.instance_type),
        ("CPU", hw.cpu_model),
        ("cores used", f"{len(hw.cores)} of {len({cpu.core for cpu in hw.cpus})}, {hw.architecture}"),
        ("instruction sets", " ".join(hw.isa)),
        ("memory", size(hw.usable_memory_bytes)),
        ("kernel, glibc", f"{hw.kernel}, {hw.glibc or 'not glibc'}"),
        ("model", space.workload.model),
        *formatting.wanted(space.goal),
        ("ran for", formatting.duration(store.elapsed_s(study.folder))),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    parts = [Part("Machine and versions", table=(("what", "is"), *((name, said) for name, said in facts if said)))]
    if space.excluded:
        rows = [(f"{one.setting} {formatting.literal(one.value)}", one.reason) for one in space.excluded]
        says = "What the space names and this machine cannot honour."
        parts.append(Part("Left out", says, table=(("setting", "why"), *rows)))
    return parts


def _commands(study: Study) -> list[str]:
    """What runs the same study anew, from its space file; and its winner, where it is exported."""
    budget, seed, options = study.space.budget, study.space.workload.seed, store.options(study.folder)
    again = ["python", "-m", "autotune", "--space", f"{study.space.name}.yaml", "--name", f"{study.name}-again"]
    again += [] if budget.trials is None else ["--trials", str(max(budget.trials, len(study.results)))]
    again += [] if budget.minutes is None else ["--minutes", f"{budget.minutes:g}"]
    again += ["--no-budget"] if None in (budget.trials, budget.minutes) else []
    again += ["--seed", str(seed), "--instance-type", study.hardware.instance_type]
    if study.space.price is not None and "prices:" not in (store.text(study.folder) or ""):
        again += ["--prices", "prices.yaml"]
    again += [] if options.storage is None else ["--storage", options.storage]
    again += [part for name in options.begin_with for part in ("--from", name)]
    again += [] if options.sampler is None else ["--sampler", options.sampler]
    again += ["--skip-confirmation"] if options.skip_confirmation else []
    found = [again]
    best = study.folder / "best.json"
    if best.exists():
        found.append(["python", "-m", "autotune", "verify", str(best)])
        found.append(["python", "-m", "autotune", "run", str(best), "--", "python", "serve.py"])
    return [shlex.join(command) for command in found]


# -------------------------------------------------------------------------------------------------------- trials


def _columns(rows: Sequence[Row]) -> list[str]:
    """What tells trials apart: a setting or figure that is the same in all of them is left out."""
    others = ("batch_size", "layout", "backend", *(name for name in METRICS if name not in PRINTED))
    found = [*PRINTED[:-1], *others, PRINTED[-1]]
    values = {name: {row[name] for row in rows if name in row} for name in found}
    return [name for name in found if len(values[name]) > (name not in ALWAYS)]


def _rows(study: Study) -> list[Row]:
    """The rows with their configurations in words: the best first, then by their rates, those that failed last."""

    def place(row: Row) -> tuple[float, float]:
        return float(row.get("rank") or math.inf), -float(row.get("throughput") or 0.0)

    found = zip(dataframe.rows(study), study.results, strict=True)
    return sorted((row | {"configuration": _configuration(row, one)} for row, one in found), key=place)


def _configuration(row: Row, result: TrialResult) -> str:
    return formatting.configuration(result.spec.config) + (" (baseline)" if row["baseline"] else "")


def _heading(name: str) -> str:
    return name.replace("_bytes", " MiB") if name.endswith("_bytes") else name


def _kind(name: str, rows: Sequence[Row]) -> str:
    """A column's classes: whether it holds numbers, and whether it is left out in print."""
    number = not any(isinstance(row.get(name), str) for row in rows)
    return " ".join([*(["number"] if number else []), *([] if name in PRINTED else ["detail"])])


def _cell(name: str, row: Row) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if name == "status":
        return "beyond a limit" if value == "ok" and not row["feasible"] else str(value).replace("_", " ")
    if isinstance(value, float) or name.endswith("_bytes"):
        number = float(value) / (MIB if name.endswith("_bytes") else 1)
        return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
    return formatting.literal(value)


# --------------------------------------------------------------------------------------------------------- plots


def _figure(name: str, study: Study) -> str:
    """A plot as JSON that may stand in a script element; empty where there is nothing to show."""
    found: Figure | None = importlib.import_module(f"autotune.report.page.plots.{name}").figure(study)
    if found is None:
        return ""
    plain: dict[str, Any] = msgspec.json.decode(found.to_json())
    # The page gives every plot its own colours and fonts.
    plain["layout"] = {key: value for key, value in plain["layout"].items() if key not in ("template", "width")}
    return msgspec.json.encode(plain).decode().replace("<", "\\u003c")


def _plotly() -> str:
    import plotly.offline

    return base64.b64encode(gzip.compress(plotly.offline.get_plotlyjs().encode(), mtime=0)).decode()
