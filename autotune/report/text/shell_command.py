"""A worker's process as a command line for bash."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Collection

from autotune.core import variables
from autotune.launch import launch_plan

THEIRS = ('PATH="$PATH"', 'HOME="$HOME"')
"""Variables that each machine has of its own, as a shell there writes them."""


def worker_command(worker: launch_plan.WorkerPlan, *, elsewhere: bool = False, named: Collection[str] = ()) -> str:
    """A worker's process as one line for bash; `elsewhere`, python and autotune are those of that machine.

    The values of variables that may hold secrets, and of those that the space file has `named`, are left to the shell.
    """
    argv, env = worker.argv, dict(worker.env)
    if elsewhere:
        argv = tuple("python" if word == sys.executable else word for word in argv)
        if env.get(variables.PYTHONPATH) == launch_plan.IMPORT_ROOT:
            del env[variables.PYTHONPATH]
    # `env` takes any word with a '=' for a variable until it meets the program.
    through = ["nice", "-n", "0"] if "=" in argv[0] else []
    private = {name for name in env if variables.may_be_secret(name) or name in named} - {variables.PYTHONPATH}
    shown = (f'{name}="${name}"' if name in private else quoted(f"{name}={value}") for name, value in env.items())
    return " ".join(["env -i", *(THEIRS if elsewhere else ()), *shown, *map(quoted, (*through, *argv))])


def quoted(word: str) -> str:
    """A word for bash; control characters and undecodable bytes are written out, so that they survive a terminal."""
    if word.isprintable():
        name, equals, value = word.partition("=")
        return f"{name}={shlex.quote(value)}" if equals and name.isidentifier() and value else shlex.quote(word)
    safe = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(safe)}'"
