"""Which Python environment runs the workers: another one may have another version of the framework, or IPEX.

`own` is the one that autotune runs in; the others are those of `autotune environments`, by name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import OWN, Hardware

Value = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", description="own, or the name of an environment")
]

changes_answers = True


def default(hw: Hardware) -> str:
    """The interpreter of autotune itself."""
    return OWN


def domain(hw: Hardware) -> tuple[str, ...]:
    """Our own and every environment that was found."""
    return (OWN, *hw.environments)


def unavailable(value: str, hw: Hardware) -> str | None:
    """The reason that there is no such environment."""
    if value in domain(hw):
        return None
    return f"no environment {value} that can run workers; see `python -m autotune environments`"


def without_effect(value: str, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where the interpreter runs only the worker, and the worker another program."""
    if value != OWN and config.backend == "command":
        return "a command is started by its own name, whatever runs the worker"
    return None


def launch(value: str, hw: Hardware) -> LaunchPatch:
    """Nothing: the program itself is another one."""
    return LaunchPatch()


def applied(value: str, hw: Hardware) -> str | None:
    """In the worker: why it does not run in that environment, or runs with another one's packages."""
    return None if value == OWN else mismatch(hw.environments[value].prefix)


def mismatch(prefix: str) -> str | None:
    """Why this process does not run in the environment at `prefix` alone, or None."""
    expected = Path(prefix).resolve()
    if Path(sys.prefix).resolve() != expected:
        return f"the worker runs in {sys.prefix}, not in {expected}"
    sites = [entry for entry in sys.path if entry.endswith("-packages")]
    astray = [entry for entry in sites if expected not in Path(entry).resolve().parents]
    return f"the worker also sees {', '.join(astray)}" if astray else None
