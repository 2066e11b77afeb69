"""Commands about this machine and what can be searched on it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.analysis.number_format import size
from autotune.cli.console import open_console
from autotune.cli.study_commands import STUDIES, Studies
from autotune.core.errors import StudyError

if TYPE_CHECKING:
    from autotune.models.cache_contents import CacheEntry

app = typer.Typer()

LEAST_DIGITS = 6
"""Fewer digits of a key may be a study's name."""


@app.command()
def doctor() -> None:
    """Show what this machine offers.

    Lists each knob and backend, or why it is not available and what to install.
    """
    from autotune.hardware import probe as hardware
    from autotune.report.text import doctor as report

    report.print_to(open_console(), hardware.probe())


@app.command()
def plan(
    space: Annotated[str, typer.Option(help="A space file, or the name of a shipped one.")],
    hardware: Annotated[str | None, typer.Option(help="A hardware.json, or the name of a recorded machine.")] = None,
    pick: Annotated[int | None, typer.Option(min=1, help="Show how the N-th of the first trials is started.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Show how the configuration of a best.json or spec.json is started.")
    ] = None,
) -> None:
    """Show what a study would search; run nothing.

    Plans for this or another machine, and shows how a configuration is started.
    """
    if pick is not None and config is not None:
        raise typer.BadParameter("goes without --config", param_hint="--pick")
    from autotune.hardware import probe as machines
    from autotune.report.text import plan as report
    from autotune.report.text import planned_config, recorded_machines
    from autotune.space.find import find
    from autotune.space.load import load

    hw = machines.probe() if hardware is None else recorded_machines.find(hardware)
    found = load(find(space), hw)
    chosen = planned_config.chosen(found, hw, pick, config)
    report.print_to(open_console(), found, hw, chosen, os.environ if hardware is None else None)


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    from autotune.space.find import shipped

    console = open_console()
    for path in shipped():
        console.print(f"{path.name:24} {path}", highlight=False, soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of space files.

    Editors use it to complete names and values.
    """
    import json

    from autotune.space import json_schema as generator

    print(json.dumps(generator.schema(), indent=2))


python_environments = typer.Typer(help="Manage other Python environments for trials.")
app.add_typer(python_environments, name="environments")


@python_environments.callback(invoke_without_command=True)
def list_environments(context: typer.Context) -> None:
    """List the Python environments in which trials can run, each checked by starting it."""
    if context.invoked_subcommand is None:
        from autotune.hardware import interpreters
        from autotune.launch import create_env
        from autotune.report.text import doctor as report

        folder = interpreters.default_folder()
        report.print_environments(open_console(), folder, create_env.problem)


@python_environments.command("create", context_settings={"ignore_unknown_options": True})
def create_environment(
    name: str,
    wanted: Annotated[
        list[str] | None, typer.Argument(help="Arguments of pip install: torch==2.8.0, or -r FILE.")
    ] = None,
    python: Annotated[str, typer.Option(help="The Python that creates it, 3.10 or newer.")] = sys.executable,
) -> None:
    """Create a Python environment, so that another framework version is a value in the search."""
    from autotune.hardware import interpreters
    from autotune.launch import create_env

    made = create_env.create(interpreters.default_folder(), name, python, wanted or [])
    open_console().print(f"{name}: Python {made.python} in {made.prefix}", soft_wrap=True)


@python_environments.command("add")
def add_environment(name: str, prefix: Path) -> None:
    """Give an existing Python environment (the folder with bin/python) a name."""
    from autotune.hardware import interpreters
    from autotune.launch import create_env

    made = create_env.add(interpreters.default_folder(), name, prefix)
    open_console().print(f"{name}: Python {made.python} in {made.prefix}", soft_wrap=True)


@python_environments.command("remove")
def remove_environment(name: str) -> None:
    """Forget an environment, and delete it if it was made by `create`."""
    from autotune.hardware import interpreters
    from autotune.launch import create_env

    create_env.remove(interpreters.default_folder(), name)


@app.command()
def cache(
    of: Annotated[
        str | None,
        typer.Argument(help="Only of this study (folder or name), or under this key.", metavar="[STUDY|KEY]"),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove them, and forget failures; without STUDY or KEY, everything.")
    ] = False,
    studies: Studies = STUDIES,
) -> None:
    """List or remove the prepared models, and what could not be prepared and is not tried again.

    A study's are those of its model, which other studies of the same model share.
    """
    from autotune.models import artifact_cache, cache_contents
    from autotune.report.text import formatting

    console, folder = open_console(), artifact_cache.default_folder()
    if clear and of is None:
        cache_contents.clear(folder)
        console.print(f"cleared {folder}", highlight=False, soft_wrap=True)
        return
    entries = cache_contents.contents(folder)
    if of is not None:
        entries = _of(of, entries, studies)
    left = cache_contents.forget(folder, {entry.key for entry in entries}) if clear else 0
    for entry in entries:
        made = f"  made in {formatting.duration(entry.prepare_s)}" if entry.prepare_s else ""
        key = entry.key[: artifact_cache.SHOWN]
        console.print(f"{size(entry.bytes):>9}  {key:12}  {entry.what}{made}", highlight=False, soft_wrap=True)
    total = size(sum(entry.bytes for entry in entries))
    done = ("cleared from" if clear else "in") + f" {folder}"
    console.print(f"{total:>9}  {done}", highlight=False, soft_wrap=True)
    if left:
        console.print(f"{left} of them stay: another process prepares them", highlight=False, soft_wrap=True)


def _of(wanted: str, entries: Sequence[CacheEntry], studies: Path) -> list[CacheEntry]:
    """What the cache has of a study's model, or under a key; StudyError where it is neither."""
    from autotune.models import workload
    from autotune.report import lookup
    from autotune.study.storage import store

    is_key = re.fullmatch(f"[0-9a-f]{{{LEAST_DIGITS},64}}", wanted) is not None
    if is_key and (found := [entry for entry in entries if entry.key.startswith(wanted)]):
        return found
    try:
        model = workload.identity(store.space(lookup.folder(wanted, studies)).workload)
    except StudyError as error:
        raise StudyError(f"{error}; nor a key of the cache: `python -m autotune cache` lists them") from error
    return [entry for entry in entries if entry.workload == model]
