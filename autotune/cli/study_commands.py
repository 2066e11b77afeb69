"""Commands that read studies: show, report, dashboard, compare, export."""

from __future__ import annotations

import enum
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli.console import open_console, print_lines, table_console

if TYPE_CHECKING:
    from rich.console import Console

    from autotune.report.text.study_reader import Study

app = typer.Typer()

Studies = Annotated[Path, typer.Option("--studies", help="The folder of study folders.", metavar="DIR")]
STUDIES = Path("studies")


class ReportForm(enum.StrEnum):
    """The forms of a report."""

    HTML = "html"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


class CompareForm(enum.StrEnum):
    """The forms of a comparison."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


@app.command()
def show(study: str, studies: Studies = STUDIES) -> None:
    """Print a study's trials and its best configuration."""
    from autotune.report import lookup

    print_study(open_console(), lookup.find(study, studies))


def print_study(console: Console, study: Study) -> None:
    """Print the trials of a study and its summary."""
    from autotune.report.text import summary, table

    table_console(console).print(table.trials(study.folder, study.results, study.space))
    console.print()
    print_lines(console, summary.summary(study.folder, study.results, study.space, study.confirmation))
    best = study.folder / "best.json"
    if best.exists():
        print_lines(console, [f"file      {shlex.quote(str(best))}"])


@app.command()
def report(
    study: str,
    form: Annotated[ReportForm, typer.Option("--format", help="How it is written.")] = ReportForm.HTML,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="By default report.* in the study.")] = None,
    studies: Studies = STUDIES,
) -> None:
    """Write a report about a study.

    Why its winner wins, every trial, what failed: one file that needs no network.
    """
    from autotune.report import lookup, report_formats

    found = lookup.find(study, studies)
    path = output or found.folder / f"report.{'md' if form is ReportForm.MARKDOWN else form.value}"
    report_formats.write(found, form.value, path)
    open_console().print(f"file      {shlex.quote(str(path))}", soft_wrap=True)


@app.command()
def dashboard(
    study: str,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    studies: Studies = STUDIES,
) -> None:
    """Look at a study in a browser.

    It may be running or finished; nothing in it can be changed from there.
    """
    from autotune.report import lookup
    from autotune.report.dashboard import server as serving

    console = open_console()
    serving.serve(lookup.folder(study, studies), lambda line: console.print(line, soft_wrap=True), host, port)


@app.command()
def compare(
    study: Annotated[list[str], typer.Argument(metavar="STUDY STUDY...")],
    prices: Annotated[Path | None, typer.Option(help="A file of prices an hour by instance type, for all.")] = None,
    form: Annotated[CompareForm, typer.Option("--format", help="How it is printed.")] = CompareForm.TABLE,
    studies: Studies = STUDIES,
) -> None:
    """Put studies side by side.

    The best of each, what it costs, and what it loses on the machines of the others.
    """
    from autotune.report import lookup
    from autotune.report.compare import groups, render

    found = groups.compare([lookup.find(one, studies) for one in study], prices)
    if form is CompareForm.TABLE:
        table_console(open_console()).print(render.renderable(found))
    else:
        forms = {"markdown": render.markdown, "csv": render.as_csv, "json": render.json}
        sys.stdout.write(forms[form.value](found))


@app.command()
def export(
    study: Annotated[str, typer.Argument(metavar="STUDY|BEST.JSON")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="json, env, shell, docker, systemd, kubernetes, torchserve, ovms or onnxruntime."
        ),
    ] = None,
    pick: Annotated[int | None, typer.Option(min=0, help="Another trial than the winner, by its number.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Without --format and --pick by default best.json in the study."),
    ] = None,
    studies: Studies = STUDIES,
) -> None:
    """Write a configuration for production.

    As best.json, or in the form of what is to start it.
    """
    from autotune.apply import best_file
    from autotune.report import lookup
    from autotune.report.export import writer

    if Path(study).is_file():
        if pick is not None:
            raise typer.BadParameter("goes with a study; a best.json is one configuration", param_hint="--pick")
        best, path = best_file.read(Path(study)), output
    else:
        found = lookup.find(study, studies)
        best = lookup.best(found, pick)
        for reason in [] if pick is None else lookup.broken(found, pick):
            print(f"autotune: trial {pick} breaks a limit: {reason}", file=sys.stderr)
        # Another trial than the winner must not take its place unasked.
        path = output or (found.folder / "best.json" if form is None and pick is None else None)
    text = writer.text(best, form or "json")
    if path is None:
        sys.stdout.write(text)
        return
    writer.save(path, text)
    open_console().print(f"file      {shlex.quote(str(path))}", soft_wrap=True)
