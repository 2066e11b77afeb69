"""Which OpenMP runtime runs torch's threads: the one that its wheel bundles (libgomp), or Intel's, preloaded.

Intel's has libgomp's functions too, so that torch, oneDNN and MKL use it in the other's place. libgomp is loaded all
the same, and still heeds OMP_PROC_BIND and OMP_PLACES: see `affinity`.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables, allocator

Value = Literal["gnu", "intel"]

FUNCTIONS = ("GOMP_parallel", "omp_get_max_threads")
BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "KMP_AFFINITY", "GOMP_CPU_AFFINITY")
"""Variables of which each makes a runtime bind its threads, and with them the one that loads or first uses it."""


def default(hw: Hardware) -> Value:
    """The runtime that torch bundles."""
    return "gnu"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """Both where Intel's was found."""
    return ("gnu", "intel") if unavailable("intel", hw) is None else ("gnu",)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that Intel's runtime cannot be had, with what to install."""
    if value == "gnu" or (hw.architecture == "x86_64" and "iomp5" in hw.libraries):
        return None
    if hw.architecture != "x86_64":
        return f"Intel's OpenMP runtime is not made for {hw.architecture}"
    return "libiomp5.so was not found in any library path; pip install intel-openmp"


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where no thread is OpenMP's."""
    return None if value == "gnu" or "torch" in packages else f"{config.backend} runs without torch's OpenMP threads"


def unused(config: Config, packages: tuple[str, ...]) -> str | None:
    """Why nothing that OpenMP does with its threads can matter: there are none, or no second one."""
    if reason := without_effect("intel", config, packages):
        return reason
    return "a worker of one thread starts no other" if config.layout.threads == 1 else None


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The library to preload; KeyError if it is not available."""
    return LaunchPatch(preload=(hw.libraries["iomp5"],)) if value == "intel" else LaunchPatch()


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process, its framework loaded: why `value` is not what serves OpenMP's functions, or None."""
    try:
        maps = Path("/proc/self/maps").read_text(errors="surrogateescape")
        preloads = re.split("[ :]+", _variables.started().get("LD_PRELOAD", ""))
    except OSError as error:
        return f"the OpenMP runtime cannot be proven: {error}"
    addresses = {name: ctypes.cast(run, ctypes.c_void_p).value or 0 for name in FUNCTIONS if (run := function(name))}
    library = hw.libraries["iomp5"] if value == "intel" else None
    return mismatch(library, allocator.owners(maps, addresses), {os.path.realpath(path) for path in preloads if path})


def mismatch(library: str | None, serving: Mapping[str, str], preloaded: Collection[str]) -> str | None:
    """Why `library` (a library's path; None: any that was not preloaded) does not serve all functions, or None.

    `serving` and `preloaded` are real paths, the former by function.
    """
    if library is None:
        taken = [f"{name} comes from the preloaded {file}" for name, file in serving.items() if file in preloaded]
        return taken[0] if taken else None
    for name in FUNCTIONS:
        if serving.get(name) != os.path.realpath(library):
            return f"{name} comes from {serving.get(name) or 'nowhere'}, not from {library}"
    return None


def function(name: str) -> Any | None:
    """The function that every library of the process finds under this name, or None."""
    return getattr(ctypes.CDLL(None), name, None)


def binds(environ: Mapping[str, str]) -> bool:
    """True if a runtime is asked to bind its threads."""
    return any(name in environ for name in BINDING)


def team() -> list[set[int]]:
    """The CPUs that each thread of a parallel region may run on; empty without a runtime.

    The region is of the calling thread, so its threads are those that serve the model; it starts them if need be.
    """
    masks: list[set[int]] = []
    if parallel := function("GOMP_parallel"):
        body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: masks.append(os.sched_getaffinity(0)))
        parallel(body, None, 0, 0)
    return masks
