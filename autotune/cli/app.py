"""The program: all commands in one app, and how a run ends. No other module exits."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from autotune.cli import apply_commands, machine_commands, study_commands, tune_command
from autotune.core.errors import AutotuneError, UnsupportedSystem

NOT_A_BUG = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
"""Errors by which the system may refuse a file at any place."""


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


app.callback(invoke_without_command=True)(tune_command.tune)
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
