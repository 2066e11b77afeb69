"""The command line with which this program was started, to be printed and run again."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from autotune.study.storage import database


def program() -> str:
    """The words that start this program, such as `.venv/bin/python -m autotune`."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        return shlex.join([str(python.relative_to(Path.cwd())), "-m", "autotune"])
    same = shutil.which("python") == str(python)
    return shlex.join(["python" if same else str(python), "-m", "autotune"])


def again(storage: str | None) -> str:
    """The same command again, without the password that a storage's URL may hold."""
    arguments = sys.argv[1:]
    if storage is not None:
        arguments = [argument.replace(storage, database.public(storage)) for argument in arguments]
    return f"{program()} {shlex.join(arguments)}"
