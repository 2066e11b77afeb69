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

Studies = Annotated[Path, typer.Option("--studies", help="The folder that holds the studies.", metavar="DIR")]
StudyName = Annotated[str, typer.Argument(help="A study's folder, or its name in --studies.")]
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
def show(study: StudyName, studies: Studies = STUDIES) -> None:
    """Print a study's trials and its best configuration."""
    from autotune.report import lookup

    print_study(open_console(), lookup.find(study, studies))


def print_study(console: Console, study: Study) -> None:
    """Print the trials of a study and its summary."""
    from autotune.report.text import summary, table

    table_console(console).print(table.trials(study.folder, study.results, study.space))
    console.print()
    print_lines(console, summary.summary(study))
    best = study.folder / "best.json"
    if best.exists():
        print_lines(console, [f"file      {shlex.quote(str(best))}"])


@app.command()
def report(
    study: StudyName,
    form: Annotated[ReportForm, typer.Option("--format", help="The file format.")] = ReportForm.HTML,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write; by default report.* in the study's folder."),
    ] = None,
    studies: Studies = STUDIES,
) -> None:
    """Write a report about a study.

    It shows why the winner wins, every trial, and what failed. The HTML page is one file that needs no network.
    """
    from autotune.report import lookup, report_formats

    found = lookup.find(study, studies)
    path = output or found.folder / f"report.{'md' if form is ReportForm.MARKDOWN else form.value}"
    report_formats.write(found, form.value, path)
    open_console().print(f"file      {shlex.quote(str(path))}", soft_wrap=True)


@app.command()
def dashboard(
    study: StudyName,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    studies: Studies = STUDIES,
) -> None:
    """Show a study in a browser.

    The study may be running or finished. The dashboard only reads.
    """
    from autotune.report import lookup
    from autotune.report.dashboard import server as serving

    console = open_console()
    serving.serve(lookup.folder(study, studies), lambda line: console.print(line, soft_wrap=True), host, port)


@app.command()
def compare(
    study: Annotated[list[str], typer.Argument(metavar="STUDY STUDY...")],
    prices: Annotated[
        Path | None, typer.Option(help="A file of prices per hour by instance type, for all studies.")
    ] = None,
    form: Annotated[CompareForm, typer.Option("--format", help="The output format.")] = CompareForm.TABLE,
    studies: Studies = STUDIES,
) -> None:
    """Compare studies side by side.

    Shows the best configuration of each, its cost, and what it loses on the other machines.
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
            "--format", help="The form: json, env, shell, docker, systemd, kubernetes, torchserve, ovms or onnxruntime."
        ),
    ] = None,
    pick: Annotated[
        int | None, typer.Option(min=0, help="The number of a trial to take instead of the winner.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write; by default the output is printed."),
    ] = None,
    studies: Studies = STUDIES,
) -> None:
    """Write a configuration for production.

    In the form that the system which starts it reads. Without --format and --pick, writes the study's best.json.
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
