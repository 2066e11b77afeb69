"""A knob that changes nothing: in the measured child it prints what has been imported there."""

# ruff: noqa: T201 - what it prints ends up in a log that tests read

from __future__ import annotations

import sys

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware

Value = bool


def default(hw: Hardware) -> bool:
    """Silent."""
    return False


def domain(hw: Hardware) -> tuple[bool, ...]:
    """Silent or not."""
    return (False, True)


def unavailable(value: bool, hw: Hardware) -> str | None:
    """Always there."""
    return None


def without_effect(value: bool, config: Config, packages: tuple[str, ...]) -> str | None:
    """It is not meant to have one."""
    return None


def launch(value: bool, hw: Hardware) -> LaunchPatch:
    """Nothing."""
    return LaunchPatch()


def applied(value: bool, hw: Hardware) -> str | None:
    """Prints the names of all modules; the model has been loaded and called by now."""
    if value:
        print("modules:", *sorted(sys.modules), flush=True)
    return None
