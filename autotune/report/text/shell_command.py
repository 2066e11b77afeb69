"""A worker's process as a command line for bash."""

from __future__ import annotations

import os
import shlex
import sys

from autotune.launch import launch_plan

THEIRS = ('PATH="$PATH"', 'HOME="$HOME"')
"""Variables that each machine has of its own, as a shell there writes them."""


def worker_command(worker: launch_plan.WorkerPlan, *, elsewhere: bool = False) -> str:
    """A worker's process as one line for bash; `elsewhere`, python and autotune are those of that machine."""
    argv, env = worker.argv, [f"{name}={value}" for name, value in worker.env.items()]
    if elsewhere:
        argv = tuple("python" if word == sys.executable else word for word in argv)
        env = [variable for variable in env if variable != f"PYTHONPATH={launch_plan.IMPORT_ROOT}"]
    # `env` takes any word with a '=' for a variable until it meets the program.
    through = ["nice", "-n", "0"] if "=" in argv[0] else []
    return " ".join(["env -i", *(THEIRS if elsewhere else ()), *map(quoted, (*env, *through, *argv))])


def quoted(word: str) -> str:
    """A word for bash; control characters and undecodable bytes are written out, so that they survive a terminal."""
    if word.isprintable():
        name, equals, value = word.partition("=")
        return f"{name}={shlex.quote(value)}" if equals and name.isidentifier() and value else shlex.quote(word)
    safe = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(safe)}'"
