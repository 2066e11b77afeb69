"""Waiting of OpenMP's threads for the next parallel region: spinning (`active`) or asleep (`passive`).

Without OMP_WAIT_POLICY libgomp spins for some milliseconds and Intel's runtime for 200, then they sleep.
"""

from __future__ import annotations

from typing import Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables, openmp

Value = Literal["default", "active", "passive"]

VARIABLE = "OMP_WAIT_POLICY"
BLOCK_TIMES_MS = {"active": 2**31 - 1, "passive": 0}
"""The block time (ms) that Intel's runtime derives from it, by its kmp_get_blocktime (2026.2)."""


def default(hw: Hardware) -> Value:
    """A while of each."""
    return "default"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """All; every runtime knows them."""
    return ("default", "active", "passive")


def unavailable(value: Value, hw: Hardware) -> str | None:
    """Never."""
    return None


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where no OpenMP thread waits."""
    return None if value == "default" else openmp.unused(config, packages)


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The variable that the runtime reads when it is loaded."""
    return LaunchPatch() if value == "default" else LaunchPatch(env={VARIABLE: value})


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: why the policy is not in effect, or None; libgomp does not tell, Intel's runtime is asked."""
    if reason := _variables.mismatch({VARIABLE: None} | launch(value, hw).env):
        return reason
    block_time = openmp.function("kmp_get_blocktime")
    if value == "default" or block_time is None or (actual_ms := block_time()) == BLOCK_TIMES_MS[value]:
        return None
    return f"Intel's runtime waits for {actual_ms} ms before it sleeps, which is not {value}"
