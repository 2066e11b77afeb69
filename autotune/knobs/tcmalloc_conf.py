"""Memory that tcmalloc (gperftools), where it is the allocator, keeps.

`large_cache` lets its threads keep 1 GiB together instead of 32 MiB, the most that it takes; `keep` also never returns
memory to the kernel (TCMALLOC_RELEASE_RATE, 1 by default).
"""

from __future__ import annotations

import ctypes
from typing import Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables, allocator, openmp

Value = Literal["default", "large_cache", "keep"]

CACHE, RELEASE = "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", "TCMALLOC_RELEASE_RATE"
CACHE_BYTES = 2**30
VARIABLES: dict[str, dict[str, str | None]] = {
    "default": {},
    "large_cache": {CACHE: str(CACHE_BYTES)},
    "keep": {CACHE: str(CACHE_BYTES), RELEASE: "0"},
}


def default(hw: Hardware) -> Value:
    """As tcmalloc was built."""
    return "default"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """All where tcmalloc was found."""
    return ("default", "large_cache", "keep") if unavailable("keep", hw) is None else ("default",)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that tcmalloc cannot be had, with what to install."""
    return None if value == "default" else allocator.unavailable("tcmalloc", hw)


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where another allocator serves."""
    if value == "default" or config.knobs.get("allocator") == "tcmalloc":
        return None
    return "only tcmalloc reads its variables; write allocator: tcmalloc"


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The variables that tcmalloc reads when it is loaded."""
    return LaunchPatch(env=VARIABLES[value])


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: why tcmalloc keeps another amount, or None.

    It tells the size of its cache; of the release rate, which it does not tell through C, its variable is the proof.
    """
    if reason := _variables.mismatch({CACHE: None, RELEASE: None} | VARIABLES[value]):
        return reason
    if value == "default":
        return None
    ask, limit = openmp.function("MallocExtension_GetNumericProperty"), ctypes.c_size_t()
    if ask is None or not ask(b"tcmalloc.max_total_thread_cache_bytes", ctypes.byref(limit)):
        return "tcmalloc is not in the process, or does not tell its cache (MallocExtension_GetNumericProperty)"
    return None if limit.value == CACHE_BYTES else f"tcmalloc's thread caches hold {limit.value} bytes at most"
