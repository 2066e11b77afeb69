"""Return of memory to the kernel by glibc's malloc, where it is the allocator (GLIBC_TUNABLES).

By default it maps anything large anew and unmaps it when it is freed, so that each call of a model pays for its pages
again (and sets its thresholds as it goes, to 32 MiB at most). `keep` takes everything from the heap, which only grows,
64 MiB at a time; `keep_one_arena` has all threads share that heap.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables
from autotune.knobs.huge_pages import TUNABLES

Value = Literal["default", "keep", "keep_one_arena"]

SINCE = (2, 26)
"""The first glibc with tunables."""

# mmap_max rather than a large mmap_threshold, which an older glibc refuses above 32 MiB without a word.
KEEP = {"mmap_max": 0, "trim_threshold": 2**40, "top_pad": 2**26}
SETTINGS: dict[str, dict[str, int]] = {"default": {}, "keep": KEEP, "keep_one_arena": {**KEEP, "arena_max": 1}}


def default(hw: Hardware) -> Value:
    """As glibc does by itself."""
    return "default"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """All under a glibc that has tunables."""
    return ("default", "keep", "keep_one_arena") if unavailable("keep", hw) is None else ("default",)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that the C library reads no tunables."""
    if value == "default" or tuple(map(int, re.findall(r"\d+", hw.glibc or "")[:2])) >= SINCE:
        return None
    return f"it needs glibc 2.26 or newer; the C library here is {'glibc ' + hw.glibc if hw.glibc else 'another one'}"


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where glibc's malloc is replaced."""
    allocator = config.knobs.get("allocator", "system")
    if value == "default" or allocator == "system":
        return None
    return f"glibc's malloc is replaced by {allocator}; write allocator: system"


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The variable that glibc reads when the process starts."""
    return LaunchPatch(env={TUNABLES: ":".join(_tunables(value))}) if SETTINGS[value] else LaunchPatch()


def applied(value: Value, hw: Hardware, root: Path = Path("/")) -> str | None:
    """In the process: which tunable it was not started with, or started with unasked; None if all is as it should be.

    The tests show with mallinfo2 that a glibc that is started so keeps what is freed.
    """
    try:
        given = _variables.tunables(root)
    except OSError as error:
        return f"the tunables cannot be proven: {error}"
    expected = _tunables(value)
    if missing := [tunable for tunable in expected if tunable not in given]:
        return f"the process was started without {' and '.join(missing)} in {TUNABLES}"
    ours = {tunable.partition("=")[0] for tunable in _tunables("keep_one_arena")}
    unasked = [tunable for tunable in given if tunable.partition("=")[0] in ours and tunable not in expected]
    return f"the process was started with {' and '.join(unasked)} in {TUNABLES}" if unasked else None


def _tunables(value: Value) -> list[str]:
    return [f"glibc.malloc.{name}={number}" for name, number in SETTINGS[value].items()]
