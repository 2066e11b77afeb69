"""What the user's own code lacked in a child: variables of the shell that are not handed on.

A child's environment is not the shell's, so that code which works there may fail here. The error that it raises says
nothing of that: it names a variable at best, and a file or a module at worst.
"""

from __future__ import annotations

import importlib.machinery
import os
import re
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import autotune
from autotune.core import variables

_IN_TRACEBACK = re.compile(r'^\s*File "(.+?)", line \d+', re.MULTILINE)
_READ = re.compile(r"""(?:environ(?:\.\w+)?|getenv)\s*[\[(]\s*f?['"](\w+)['"]""")
_NOT_IMPORTED = re.compile(r"(?:No module named|cannot import name .{1,200}? from) '(\w+)")
_OTHERS = (sysconfig.get_path("stdlib"), str(Path(autotune.__file__).parent))
"""Code that is not the user's; installed packages have `-packages` in their path."""


def explained(message: str, log: str, environ: Mapping[str, str], named: Collection[str]) -> str:
    """The message of an error, and what the code lacked of the shell's variables, with what to write.

    `log` has the traceback, `named` are the variables that the space file names. A variable counts where the message
    has its name, PYTHONPATH where the missing module lies there; else those that a file of the user's in the traceback
    reads.
    """
    mentioned, read = set(_mentioned(message, environ, named)), set(_read(log))
    missing = sorted(name for name in mentioned if _is_lacking(name, environ, named))
    if _on_path(f"{message}\n{log}", environ.get(variables.PYTHONPATH, "")) and variables.PYTHONPATH not in named:
        missing.append(variables.PYTHONPATH)
    missing = missing or sorted(name for name in read if _is_lacking(name, environ, named))
    if missing:
        are = "is" if len(missing) == 1 else "are"
        said = f"{_listed(missing)} {are} set in your shell and not handed on to the child"
        return f"{message}; {said}; write workload.env: [{', '.join([*named, *missing])}]"
    if unset := sorted(name for name in mentioned | read if name in named and name not in environ):
        return f"{message}; workload.env names {_listed(unset)}, not set in your shell; export it"
    if relative := sorted(name for name in mentioned | read if name in named and _is_relative(environ[name])):
        return f"{message}; {relative[0]} is a relative path, and a child runs in another folder; make it absolute"
    return message


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _is_lacking(name: str, environ: Mapping[str, str], named: Collection[str]) -> bool:
    """True of a variable of the shell that the child has not, though it may have it."""
    handed_on = name in variables.handed_on(environ, named)
    return name in environ and not handed_on and not name.startswith(variables.READ_BY_RUNTIMES)


def _mentioned(message: str, environ: Mapping[str, str], named: Collection[str]) -> Iterator[str]:
    """The variables whose names the message has: as a word, a short one in quotes."""
    words = set(re.findall(r"\w+", message))
    for name in {*environ, *named}:
        if name in words and (len(name) > 3 or f"'{name}'" in message or f'"{name}"' in message):
            yield name


def _read(log: str) -> Iterator[str]:
    """The variables that the user's files in the log's tracebacks read."""
    for path in dict.fromkeys(_IN_TRACEBACK.findall(log)):
        if "-packages/" not in path and not path.startswith(_OTHERS):
            try:
                yield from _READ.findall(Path(path).read_text(errors="replace"))
            except OSError:  # such as <string>
                continue


def _on_path(said: str, path: str) -> bool:
    """True if a module that could not be imported lies in a folder of this PYTHONPATH."""
    folders = [os.path.abspath(folder) for folder in path.split(os.pathsep)] if path else []
    names = _NOT_IMPORTED.findall(said)
    return any(importlib.machinery.PathFinder.find_spec(name, folders) is not None for name in names)


def _is_relative(value: str) -> bool:
    return not os.path.isabs(value) and os.path.exists(value)
