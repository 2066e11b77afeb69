"""Keeping and returning of memory by jemalloc, where it is the allocator (MALLOC_CONF).

`run_cpu` is what torch's launcher of that name sets. `keep` also never returns memory to the kernel.
Both do without the separate arena for more than 8 MiB, whose memory goes back at once (oversize_threshold).
"""

from __future__ import annotations

import ctypes
from typing import Any, Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import allocator, openmp

Value = Literal["default", "run_cpu", "keep"]

VARIABLE = "MALLOC_CONF"
OPTIONS: dict[str, tuple[str, Any, object]] = {
    "oversize_threshold": ("1", ctypes.c_size_t, 0),
    "background_thread": ("true", ctypes.c_bool, True),
    "metadata_thp": ("auto", ctypes.c_char_p, b"auto"),
    "dirty_decay_ms": ("-1", ctypes.c_ssize_t, -1),
    "muzzy_decay_ms": ("-1", ctypes.c_ssize_t, -1),
}
"""The text of each option, and the C type and value with which jemalloc (5.3) then reports it."""

RUN_CPU = ("oversize_threshold", "background_thread", "metadata_thp")
CONFS: dict[str, tuple[str, ...]] = {"run_cpu": RUN_CPU, "keep": tuple(OPTIONS)}


def default(hw: Hardware) -> Value:
    """As jemalloc was built."""
    return "default"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """All where jemalloc was found."""
    return ("default", "run_cpu", "keep") if unavailable("keep", hw) is None else ("default",)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that jemalloc cannot be had, with what to install."""
    return None if value == "default" else allocator.unavailable("jemalloc", hw)


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where another allocator serves."""
    if value == "default" or config.knobs.get("allocator") == "jemalloc":
        return None
    return "only jemalloc reads MALLOC_CONF; write allocator: jemalloc"


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The variable that jemalloc reads when it is loaded."""
    conf = ",".join(f"{option}:{OPTIONS[option][0]}" for option in CONFS.get(value, ()))
    return LaunchPatch(env={VARIABLE: conf}) if conf else LaunchPatch()


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: which option jemalloc itself says is another, or None; nothing is asked for by `default`."""
    if value == "default":
        return None
    mallctl = openmp.function("mallctl")
    if mallctl is None:
        return "jemalloc is not in the process, or does not tell its options (mallctl)"
    for option in CONFS[value]:
        written, kind, expected = OPTIONS[option]
        actual = kind()
        size = ctypes.c_size_t(ctypes.sizeof(actual))
        if mallctl(f"opt.{option}".encode(), ctypes.byref(actual), ctypes.byref(size), None, ctypes.c_size_t(0)):
            return f"this jemalloc does not know {option}"
        if actual.value != expected:
            return f"jemalloc was not given {option}:{written}; it tells {actual.value!r}"
    return None
