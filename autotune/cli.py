"""The command line: one small function a command, and the only place that exits or prints for people.

Imports stay inside the functions, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from autotune import __version__
from autotune.errors import AutotuneError, UnsupportedSystem

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=False)

Studies = Annotated[Path, typer.Option("--studies", help="The folder of study folders.", metavar="DIR")]
STUDIES = Path("studies")


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a study as cleanly as Ctrl-C."""


def main() -> NoReturn:
    """Run a command and exit: 0 done, 1 a user's mistake, 2 usage, 3 a bug, 130 or 143 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
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
    except Exception:
        _say_error(f"a bug in autotune; please report it with the log {_save_traceback()}")
        sys.exit(3)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def tune(
    context: typer.Context,
    space: Annotated[str | None, typer.Option(help="A space file, or the name of a shipped one.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Stop after so many trials.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many minutes.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name; by default SPACE@INSTANCE-TYPE.")] = None,
    studies: Studies = STUDIES,
    storage: Annotated[str | None, typer.Option(help="An Optuna storage URL instead of the study's own.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of sampler, weights and inputs.")] = None,
    instance_type: Annotated[str | None, typer.Option(help="This machine's type, where it cannot be read.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Find the fastest way to serve a PyTorch model on this machine that still gives right answers."""
    if version:
        print(f"autotune {__version__}")
        return
    if context.invoked_subcommand is not None:
        if space is not None:
            raise typer.BadParameter(
                f"goes without a command; got --space and {context.invoked_subcommand}", param_hint="--space"
            )
        return
    if space is None:
        print(context.get_help())
        raise typer.Exit(2)
    from autotune import tuning

    try:
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
        )
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(143 if isinstance(interrupt, Terminated) else 130) from None
    if not measured:
        raise typer.Exit(4)


@app.command()
def show(study: str, studies: Studies = STUDIES) -> None:
    """Print a study's trials and its best configuration."""
    from autotune import tuning

    tuning.show(_console(), study, studies)


@app.command()
def doctor() -> None:
    """Say what this machine offers: each knob and backend, or why not and what to install."""
    from autotune import hardware
    from autotune.report import doctor as report

    report.print_to(_console(), hardware.probe())


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


@app.command()
def cache(clear: Annotated[bool, typer.Option("--clear", help="Remove everything.")] = False) -> None:
    """Show the prepared models that are kept, or clear them."""
    from autotune import artifacts
    from autotune.report import words

    console, folder = _console(), artifacts.default_folder()
    if clear:
        artifacts.clear(folder)
        console.print(f"cleared {folder}", highlight=False, soft_wrap=True)
        return
    kept = artifacts.kept(folder)
    for entry in kept:
        made = f"made in {words.duration(entry.prepare_s)}" if entry.prepare_s else ""
        console.print(f"{words.size(entry.bytes):>9}  {entry.what}  {made}", highlight=False, soft_wrap=True)
    total = words.size(sum(entry.bytes for entry in kept))
    console.print(f"{total:>9}  in {folder}", highlight=False, soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


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
