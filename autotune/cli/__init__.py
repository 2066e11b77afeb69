"""The command line: one small function a command, and the only place that exits; here `--space`.

Imports stay inside the functions, so that `--help` answers at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from autotune import __version__
from autotune.cli import apply_commands, machine_commands, study_commands
from autotune.cli.console import open_console
from autotune.cli.study_commands import STUDIES, Studies
from autotune.core.errors import AutotuneError, UnsupportedSystem

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
    trials: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many trials; the space's minutes stay.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.1, max=1_000_000, help="Stop after so many minutes, earlier runs of the study included."),
    ] = None,
    no_budget: Annotated[
        bool,
        typer.Option("--no-budget", help="Leave the space's budget out; alone: stop when nothing better is expected."),
    ] = False,
    name: Annotated[str | None, typer.Option(help="The study's name; by default SPACE@INSTANCE-TYPE.")] = None,
    studies: Studies = STUDIES,
    storage: Annotated[str | None, typer.Option(help="An Optuna storage URL instead of the study's own.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of sampler, weights and inputs.")] = None,
    instance_type: Annotated[str | None, typer.Option(help="This machine's type, where it cannot be read.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="A file of prices an hour by instance type, instead of the space file's.")
    ] = None,
    begin_with: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="STUDY", help="Try first what this study found best; may be given more than once."
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="How the search proposes: surrogate (the default), tpe, random, or a class as MODULE:CLASS."),
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
        for option in (name for name, value in context.params.items() if value not in (None, False, STUDIES, [], ())):
            got = "--from" if option == "begin_with" else f"--{option.replace('_', '-')}"
            raise typer.BadParameter(
                f"goes without a command; got {got} before {context.invoked_subcommand}", param_hint=got
            )
        return
    if space is None:
        print(context.get_help())
        raise typer.Exit(2)
    if storage == "":
        raise typer.BadParameter("is empty; give an Optuna storage URL, or leave it out", param_hint="--storage")
    from autotune.cli import tune as tuning

    measured = tuning.tune(
        open_console(),
        space,
        trials=trials,
        minutes=minutes,
        no_budget=no_budget,
        name=name,
        studies=studies,
        storage=storage,
        seed=seed,
        instance_type=instance_type,
        skip_confirmation=skip_confirmation,
        prices=prices,
        begin_with=begin_with or (),
        sampler=sampler,
    )
    if not measured:
        raise typer.Exit(4)


for group in (study_commands, apply_commands, machine_commands):
    app.add_typer(group.app)


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
