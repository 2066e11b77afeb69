"""Milliseconds for which a thread of Intel's OpenMP runtime spins for its next parallel region before it sleeps."""

from __future__ import annotations

from typing import Annotated

import msgspec

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables, openmp

Value = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

VARIABLE = "KMP_BLOCKTIME"
DEFAULT_MS = 200
"""The runtime's own; with it the variable stays unset."""

candidates = (0, 1, DEFAULT_MS)


def default(hw: Hardware) -> int:
    """The runtime's own."""
    return DEFAULT_MS


def domain(hw: Hardware) -> tuple[int, ...]:
    """To sleep at once, what torch's run_cpu sets (1), and the runtime's own."""
    return tuple(value for value in candidates if unavailable(value, hw) is None)


def unavailable(value: int, hw: Hardware) -> str | None:
    """The reason that Intel's runtime cannot be had."""
    return None if value == DEFAULT_MS else openmp.unavailable("intel", hw)


def without_effect(value: int, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where Intel's runtime does not wait, or where `wait_policy` already says how."""
    if value == DEFAULT_MS:
        return None
    if config.knobs.get("openmp") != "intel":
        return "only Intel's OpenMP runtime has a block time; write openmp: intel"
    if (policy := config.knobs.get("wait_policy", "default")) != "default":
        return f"it says how threads wait, and so does wait_policy: {policy}; leave one at its default"
    return openmp.unused(config, packages)


def launch(value: int, hw: Hardware) -> LaunchPatch:
    """The variable that the runtime reads when it is first used."""
    return LaunchPatch() if value == DEFAULT_MS else LaunchPatch(env={VARIABLE: str(value)})


def applied(value: int, hw: Hardware) -> str | None:
    """In the process: why the block time is another one, or None; asked of the runtime itself."""
    if reason := _variables.mismatch({VARIABLE: None} | launch(value, hw).env):
        return reason
    if value == DEFAULT_MS:
        return None
    block_time = openmp.function("kmp_get_blocktime")
    if block_time is None:
        return "Intel's OpenMP runtime is not in the process"
    return None if (actual := block_time()) == value else f"the block time is {actual} ms, not {value}"
