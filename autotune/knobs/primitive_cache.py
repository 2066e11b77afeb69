"""Number of oneDNN primitives of each kind that torch keeps ready (LRU_CACHE_CAPACITY); more cost memory.

A primitive is made for one shape. 0 leaves torch's own capacity: 1024, and on Arm 1, which is as good as none (ideep's
lru_cache.hpp). Given as the variable, 0 makes torch 2.13 die of a segmentation fault.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables

Value = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

VARIABLE = "LRU_CACHE_CAPACITY"
OWN = {"aarch64": 1, "x86_64": 1024}
"""torch's own capacities."""

candidates = (0, *OWN.values())


def default(hw: Hardware) -> int:
    """torch's own."""
    return 0


def domain(hw: Hardware) -> tuple[int, ...]:
    """torch's own here, and that of the other architecture."""
    return tuple(value for value in candidates if unavailable(value, hw) is None)


def unavailable(value: int, hw: Hardware) -> str | None:
    """The reason that a value would be measured twice."""
    return f"torch keeps {value} of itself on {hw.architecture}; write 0" if value == OWN.get(hw.architecture) else None


def without_effect(value: int, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where torch, which keeps them, does not run."""
    return None if value == 0 or "torch" in packages else f"{config.backend} runs without torch's oneDNN"


def launch(value: int, hw: Hardware) -> LaunchPatch:
    """The variable that torch reads when it first makes a primitive."""
    return LaunchPatch(env={VARIABLE: str(value)}) if value else LaunchPatch()


def applied(value: int, hw: Hardware) -> str | None:
    """In the process: why it was not started with this capacity, or None; torch does not tell what it read."""
    return _variables.mismatch({VARIABLE: str(value) if value else None})
