"""Making another Python environment in which workers can run, and checking one by starting it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import autotune
from autotune.core import variables
from autotune.core.errors import InterpreterError
from autotune.core.machine import OWN, Environment
from autotune.hardware import interpreters
from autotune.launch import launch_plan, process

NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"

CHECK_S = 60.0
"""The longest time for an environment to import what a worker does."""


def create(folder: Path, name: str, python: str, wanted: Sequence[str]) -> Environment:
    """A new venv of that name with what workers need and `wanted` (requirements of pip, or its options such as -r).

    InterpreterError if it cannot be made; nothing of it is left then. pip speaks to the terminal itself
    and sees nothing of our PYTHONPATH.
    """
    prefix = _free(folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    made = None
    try:
        for argv in (
            [python, "-I", "-m", "venv", str(prefix)],
            [f"{prefix}/bin/python", "-I", "-m", "pip", "install", *interpreters.NEEDED, *wanted],
        ):
            if status := process.run_interactive(argv):
                raise InterpreterError(f"{' '.join(argv)} ended with exit status {status}; what it said is above")
        made = _checked(prefix)
        return made
    except OSError as error:
        raise InterpreterError(f"{python} does not start: {error.strerror}; choose another --python") from error
    finally:
        if made is None:
            shutil.rmtree(prefix, ignore_errors=True)


def add(folder: Path, name: str, prefix: Path) -> Environment:
    """An environment that is already there, under a name of its own; InterpreterError if it cannot run workers."""
    link = _free(folder, name)
    found = _checked(prefix.absolute())
    folder.mkdir(parents=True, exist_ok=True)
    link.symlink_to(prefix.absolute())
    return found


def remove(folder: Path, name: str) -> None:
    """Forget an environment; one that `create` made is deleted, one that `add` named is left as it is."""
    path = folder / name
    if not re.fullmatch(NAME, name) or not _is_one(path):
        known = ", ".join(path.name for path in sorted(folder.glob("*")) if _is_one(path)) or "none"
        raise InterpreterError(f"no environment {name!r}; there are: {known}")
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def problem(prefix: Path, timeout_s: float = CHECK_S) -> str | None:
    """Why an environment cannot run workers, by its files and by importing all that a worker may; None if it can."""
    if reason := interpreters.lacking(interpreters.read(prefix)):
        return reason
    with tempfile.TemporaryDirectory() as alone:
        interpreters.link(Path(autotune.__file__).parent, Path(alone))
        script = (
            "from autotune.core import plugins; from autotune.worker import loop, prepare\n"
            "for kind in ('knobs', 'backends', 'workloads'):\n"
            "    for name in plugins.names(kind): plugins.load(kind, name)\n"
            f"raise SystemExit(plugins.load('knobs', 'interpreter').mismatch({str(prefix)!r}))"
        )
        python = f"{prefix}/bin/python"
        try:
            env = launch_plan.apart(variables.handed_on(os.environ), alone)
            return process.failure_line([python, "-c", script], env, timeout_s)
        except OSError as error:  # such as a script whose interpreter is gone
            return f"{python} does not start: {error.strerror or error}"


def _is_one(path: Path) -> bool:
    """True if this is an environment, if only a link to one that is gone."""
    return path.is_symlink() or path.is_dir()


def _checked(prefix: Path) -> Environment:
    if reason := problem(prefix):
        raise InterpreterError(f"{prefix} cannot run workers: {reason}")
    return interpreters.read(prefix)


def _free(folder: Path, name: str) -> Path:
    if not re.fullmatch(NAME, name) or name == OWN:
        raise InterpreterError(
            f"an environment cannot be named {name!r}; allowed are letters, digits and ._-, but not {OWN!r}"
        )
    path = folder / name
    if path.is_symlink() or path.exists():
        raise InterpreterError(f"there is an environment {name!r} already; `environments remove {name}` removes it")
    return path
