"""The errors that a user of autotune can mend.

    AutotuneError                exit 1: a user's mistake or an environment that does not allow the job
    ├── SpaceError               a space file that cannot be used; names file, line and key
    ├── ModelError               the workload cannot be built; names the child's log
    ├── StudyError               a study folder or storage that cannot be used
    ├── CacheError               the artifact cache cannot be used (full disk, permissions)
    ├── MachineError             nothing can be measured here: the machine's lock, a layout, an environment that is gone
    ├── InterpreterError         another Python environment that cannot be made or cannot run workers
    ├── NotStarted               a program that `run` cannot start; exit 126 or 127
    ├── PluginError              a plugin that fails to import, or two that contradict each other
    └── UnsupportedSystem        not Linux

A trial that fails is not an error but a value: `TrialResult.status`.
Every message says what is wrong, what was found, what is allowed and what to do next, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AutotuneError(Exception):
    """A mistake that the user can mend; the message is one line."""


class SpaceError(AutotuneError):
    """A space file that cannot be used."""


class ModelError(AutotuneError):
    """A workload that cannot be built."""


class StudyError(AutotuneError):
    """A study folder or storage that cannot be used."""


class MachineError(AutotuneError):
    """A machine on which nothing may be measured."""


class CacheError(AutotuneError):
    """A cache folder that cannot be used."""


class InterpreterError(AutotuneError):
    """A Python environment that cannot be made, or cannot run workers."""


class PluginError(AutotuneError):
    """A plugin that cannot be loaded, or two plugins that contradict each other."""


class NotStarted(AutotuneError):
    """A program that cannot be started; `status` is what shells exit with: 127 not found, 126 not executable."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UnsupportedSystem(AutotuneError):
    """autotune needs Linux."""


def did_you_mean(got: str, allowed: Iterable[str]) -> str:
    """`; did you mean 'allocator'?` or, with nothing near, `; allowed: a, b, c`."""
    names = sorted(allowed)
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "; allowed: " + ", ".join(names)
