"""Binding of a worker's OpenMP threads, each to a core of its own; by default the kernel moves them among its cores.

`close` and `spread` are OpenMP's own (OMP_PROC_BIND), `compact` is Intel's (KMP_AFFINITY, as torch's run_cpu sets it).
Beside Intel's runtime the former would be a trap: torch loads its libgomp as well, which binds the main thread when it
is loaded, and Intel's then finds a mask of one CPU and puts all threads on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables, openmp

Value = Literal["none", "close", "spread", "compact"]

VARIABLES: dict[str, dict[str, str | None]] = {
    "none": {},
    "close": {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"},
    "spread": {"OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"},
    "compact": {"KMP_AFFINITY": "granularity=fine,compact,1,0"},
}


def default(hw: Hardware) -> Value:
    """The kernel moves them."""
    return "none"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """All that the runtimes of this machine know."""
    values: tuple[Value, ...] = ("none", "close", "spread", "compact")
    return tuple(value for value in values if unavailable(value, hw) is None)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """`compact` needs Intel's runtime."""
    return openmp.unavailable("intel", hw) if value == "compact" else None


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where there is nothing to bind, or where a value does the same as another or misses its purpose."""
    if value == "none":
        return None
    if reason := openmp.unused(config, packages):
        return reason
    if config.knobs.get("openmp") == "intel":
        one_core = f"beside openmp: intel, {value} would put all threads on one core; write compact"
        return None if value == "compact" else one_core
    if value == "compact":
        return "compact is read by Intel's runtime only; write openmp: intel, or close"
    return "a worker has a core for each thread, so spread does what close does" if value == "spread" else None


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The variables that the runtime reads when it is loaded."""
    return LaunchPatch(env=VARIABLES[value])


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: why its OpenMP threads are not bound as asked, or None.

    A process without a runtime only hands the variables on to the program that it starts.
    """
    if reason := _variables.mismatch(dict.fromkeys(openmp.BINDING) | VARIABLES[value]):
        return reason
    masks = openmp.team() if value != "none" else []
    if value != "none" and not masks and "torch" in sys.modules:
        return "torch's OpenMP runtime is not to be found in the process, so that its threads cannot be looked at"
    return mismatch(masks, int(os.environ.get("OMP_NUM_THREADS", len(masks)))) if masks else None


def mismatch(masks: Sequence[set[int]], threads: int) -> str | None:
    """Why threads with these masks are not `threads` threads on a CPU of their own."""
    if len(masks) != threads:
        return f"OpenMP runs {len(masks)} threads, not {threads}"
    if loose := next((mask for mask in masks if len(mask) != 1), None):
        return f"an OpenMP thread is not bound: it may run on CPUs {', '.join(map(str, sorted(loose)))}"
    cpus = set().union(*masks)
    if len(cpus) != threads:
        return f"OpenMP's {threads} threads share CPU {', '.join(map(str, sorted(cpus)))}"
    return None
