"""The command line: one small function a command, and the only place that exits.

Imports stay inside the functions, so that `--help` answers at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from autotune import __version__
from autotune.errors import AutotuneError, UnsupportedSystem

if TYPE_CHECKING:
    from rich.console import Console

NOT_A_BUG = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
"""What the system may refuse at any place."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a study as cleanly as Ctrl-C."""


class Commands(TyperGroup):
    """Commands that end with the signal's own status, wherever it meets them; before, the signal simply kills."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; 130 after Ctrl-C, 143 after SIGTERM."""
        signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(143 if isinstance(interrupt, Terminated) else 130) from None


app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Studies = Annotated[Path, typer.Option("--studies", help="The folder of study folders.", metavar="DIR")]
STUDIES = Path("studies")


def main() -> NoReturn:
    """Run a command and exit: 0 done, 1 a user's mistake, 2 usage, 3 a bug, 130 or 143 interrupted."""
    try:
        if not sys.platform.startswith("linux"):
            raise UnsupportedSystem(f"autotune needs Linux (pinning, /proc, LD_PRELOAD); this is {sys.platform}")
        app()
    except AutotuneError as error:
        _say_error(str(error))
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NOT_A_BUG:
            _say_error(f"{error.strerror}: {error.filename or 'writing the output'}")
            sys.exit(1)
        _say_error(f"a bug in autotune; please report it with the log {_save_traceback()}")
        sys.exit(3)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def tune(
    context: typer.Context,
    space: Annotated[str | None, typer.Option(help="A space file, or the name of a shipped one.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Stop after so many trials.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, max=1_000_000, help="Stop after so many minutes.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name; by default SPACE@INSTANCE-TYPE.")] = None,
    studies: Studies = STUDIES,
    storage: Annotated[str | None, typer.Option(help="An Optuna storage URL instead of the study's own.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of sampler, weights and inputs.")] = None,
    instance_type: Annotated[str | None, typer.Option(help="This machine's type, where it cannot be read.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="A file of prices an hour by instance type, instead of the space file's.")
    ] = None,
    skip_confirmation: Annotated[
        bool, typer.Option("--skip-confirmation", help="End after the search: nothing is claimed then.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Find the fastest way to serve a PyTorch model on this machine that still gives right answers."""
    if version:
        print(f"autotune {__version__}")
        return
    if context.invoked_subcommand is not None:
        for option in (name for name, value in context.params.items() if value not in (None, False, STUDIES)):
            got = f"--{option.replace('_', '-')}"
            raise typer.BadParameter(
                f"goes without a command; got {got} before {context.invoked_subcommand}", param_hint=got
            )
        return
    if space is None:
        print(context.get_help())
        raise typer.Exit(2)
    if storage == "":
        raise typer.BadParameter("is empty; give an Optuna storage URL, or leave it out", param_hint="--storage")
    from autotune import tuning

    measured = tuning.tune(
        _console(),
        space,
        trials=trials,
        minutes=minutes,
        name=name,
        studies=studies,
        storage=storage,
        seed=seed,
        instance_type=instance_type,
        skip_confirmation=skip_confirmation,
        prices=prices,
    )
    if not measured:
        raise typer.Exit(4)


@app.command()
def show(study: str, studies: Studies = STUDIES) -> None:
    """Print a study's trials and its best configuration."""
    from autotune import tuning

    tuning.show(_console(), study, studies)


@app.command()
def export(
    study: str,
    pick: Annotated[int | None, typer.Option(min=0, help="Another trial than the winner, by its number.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="By default best.json in the study.")] = None,
    studies: Studies = STUDIES,
) -> None:
    """Write a study's best.json again, or that of another of its trials."""
    from autotune import tuning

    tuning.pick(_console(), study, studies, pick, output)


@app.command()
def doctor() -> None:
    """Say what this machine offers: each knob and backend, or why not and what to install."""
    from autotune import hardware
    from autotune.report import doctor as report

    report.print_to(_console(), hardware.probe())


@app.command()
def plan(
    space: Annotated[str, typer.Option(help="A space file, or the name of a shipped one.")],
    hardware: Annotated[str | None, typer.Option(help="A hardware.json, or a recorded machine's name.")] = None,
    pick: Annotated[int | None, typer.Option(min=1, help="Show how recipe number N is started.")] = None,
    config: Annotated[Path | None, typer.Option(help="Show how a best.json or spec.json is started.")] = None,
) -> None:
    """Print what would be searched, here or on another machine, and how a configuration is started; run nothing."""
    if pick is not None and config is not None:
        raise typer.BadParameter("goes without --config", param_hint="--pick")
    from autotune import hardware as machines
    from autotune import space as spaces
    from autotune.report import plan as report

    hw = machines.probe() if hardware is None else report.machine(hardware)
    found = spaces.load(spaces.find(space), hw)
    chosen = report.chosen(found, hw, pick, config)
    report.print_to(_console(), found, hw, chosen, os.environ if hardware is None else None)


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    from autotune import space

    console = _console()
    for path in space.shipped():
        console.print(f"{path.name:24} {path}", highlight=False, soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a space file, from which editors complete."""
    import json

    from autotune import schema as generator

    print(json.dumps(generator.schema(), indent=2))


python_environments = typer.Typer(help="Other Python environments, as values of the knob `interpreter`.")
app.add_typer(python_environments, name="environments")


@python_environments.callback(invoke_without_command=True)
def list_environments(context: typer.Context) -> None:
    """List the Python environments in which trials can run, each checked by starting it."""
    if context.invoked_subcommand is None:
        from autotune import environments
        from autotune.launch import making
        from autotune.report import doctor as report

        folder = environments.default_folder()
        report.print_environments(_console(), folder, making.problem)


@python_environments.command("create", context_settings={"ignore_unknown_options": True})
def create_environment(
    name: str,
    wanted: Annotated[list[str] | None, typer.Argument(help="What pip installs: torch==2.8.0, or -r FILE.")] = None,
    python: Annotated[str, typer.Option(help="The Python to make it with, 3.10 or newer.")] = sys.executable,
) -> None:
    """Make a Python environment of its own: another framework version is then a value in the search."""
    from autotune import environments
    from autotune.launch import making

    made = making.create(environments.default_folder(), name, python, wanted or [])
    _console().print(f"{name}: Python {made.python} in {made.prefix}", soft_wrap=True)


@python_environments.command("add")
def add_environment(name: str, prefix: Path) -> None:
    """Give a Python environment that is already there (its folder, which holds bin/python) a name."""
    from autotune import environments
    from autotune.launch import making

    made = making.add(environments.default_folder(), name, prefix)
    _console().print(f"{name}: Python {made.python} in {made.prefix}", soft_wrap=True)


@python_environments.command("remove")
def remove_environment(name: str) -> None:
    """Forget an environment, and delete it if it was made by `create`."""
    from autotune import environments
    from autotune.launch import making

    making.remove(environments.default_folder(), name)


@app.command()
def cache(clear: Annotated[bool, typer.Option("--clear", help="Remove everything.")] = False) -> None:
    """Show the prepared models that are kept, or clear them."""
    from autotune import artifacts
    from autotune import cache as prepared
    from autotune.report import words

    console, folder = _console(), artifacts.default_folder()
    if clear:
        prepared.clear(folder)
        console.print(f"cleared {folder}", highlight=False, soft_wrap=True)
        return
    kept = prepared.kept(folder)
    for entry in kept:
        made = f"made in {words.duration(entry.prepare_s)}" if entry.prepare_s else ""
        console.print(f"{words.size(entry.bytes):>9}  {entry.what}  {made}", highlight=False, soft_wrap=True)
    total = words.size(sum(entry.bytes for entry in kept))
    console.print(f"{total:>9}  in {folder}", highlight=False, soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    # Names and reasons may hold brackets and colons, which are meant as they are.
    # FORCE_COLOR may colour a log, but nothing is redrawn in one.
    interactive = None if os.isatty(1) else False
    return Console(highlight=False, markup=False, emoji=False, force_interactive=interactive)


def _say_error(message: str) -> None:
    print(f"autotune: {message}", file=sys.stderr)


def _save_traceback() -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="autotune-bug-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return file.name


def _terminate(*_: Any) -> None:
    raise Terminated
