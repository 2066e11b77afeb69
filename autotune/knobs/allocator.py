"""Which memory allocator serves `malloc`: glibc's own, or one that is preloaded.

OpenVINO needs TBB_ENABLE_SANITIZERS=1 beside any preloaded allocator; that is for its backend to ask.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.hardware.libraries import TBBMALLOC_CORE, allocator_of

Value = Literal["system", "tcmalloc", "jemalloc", "mimalloc", "tbbmalloc"]

INSTALL = {
    "tcmalloc": "sudo apt-get install libtcmalloc-minimal4 (or libgoogle-perftools4)",
    "jemalloc": "sudo apt-get install libjemalloc2",
    "mimalloc": "sudo apt-get install libmimalloc2.0 (or the newer one of your system)",
    "tbbmalloc": f"pip install tbb (its libtbbmalloc_proxy.so, with {TBBMALLOC_CORE} beside it)",
}

# gperftools may be built to dump a stack trace to stderr for an allocation above 1 GiB; nobody asks for this much.
TCMALLOC_REPORT_BYTES = 2**50

# Functions of one allocator must not free what another one gave, so all of them have to come from the same library.
FAMILY = ("malloc", "free", "calloc", "realloc", "posix_memalign")


def default(hw: Hardware) -> Value:
    """The allocator of the C library."""
    return "system"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """The system's allocator and every other that was found."""
    values: tuple[Value, ...] = get_args(Value)
    return tuple(value for value in values if unavailable(value, hw) is None)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that an allocator cannot be had, with what to install."""
    if value == "system" or (value in hw.libraries and (value != "tbbmalloc" or "tbbmalloc_core" in hw.libraries)):
        return None
    return f"{value} was not found in any library path for {hw.architecture}; {INSTALL[value]}"


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """Never: every backend allocates."""
    return None


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The library to preload; KeyError if it is not available."""
    if value == "system":
        return LaunchPatch()
    library = hw.libraries[value]
    if value == "tcmalloc":
        silent = str(TCMALLOC_REPORT_BYTES)
        return LaunchPatch(preload=(library,), env={"TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD": silent})
    if value == "tbbmalloc":
        return LaunchPatch(preload=(hw.libraries["tbbmalloc_core"], library))
    return LaunchPatch(preload=(library,))


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: why `value` is not what serves `malloc`, or None.

    glibc passes over a library that it cannot preload with one line on stderr, so the addresses of malloc and its
    relatives are looked up among the mapped files. Libraries that merely come along count for nothing: OpenVINO's
    libtbbmalloc, or an allocator that a wheel bundles for itself.
    """
    if reason := unavailable(value, hw):
        return reason
    try:
        maps = Path("/proc/self/maps").read_text(errors="surrogateescape")
    except OSError as error:
        return f"the allocator cannot be proven: {error}"
    return mismatch(hw.libraries.get(value), owners(maps, _addresses()), mapped(maps), sys.executable)


def mismatch(library: str | None, serving: Mapping[str, str], files: frozenset[str], program: str) -> str | None:
    """Why `library` (a library's path; None: the C library) is not what serves the functions of `serving`.

    A program that was linked without position-independent code may answer with itself for a function that it merely
    calls; then the names of the mapped files decide.
    """
    expected = library or "the C library"
    real = None if library is None else os.path.realpath(library)
    if real is not None and real not in files:
        return f"{library} is not mapped: it was not preloaded, or the loader passed over it"
    for function, owner in serving.items():
        if owner == os.path.realpath(program):
            others = sorted(file for file in files if allocator_of(file) and file != real)
            if others:
                return f"{', '.join(others)} may serve {function} in place of {expected}"
        elif not (_is_libc(owner) if real is None else owner == real):
            return f"{function} comes from {owner or 'an unknown place'}, not from {expected}"
    return None


def owners(maps: str, addresses: Mapping[str, int]) -> dict[str, str]:
    """The real path of the mapped file that holds each address; empty for an address in none."""
    mappings = _mappings(maps)
    return {
        name: next((file for start, end, file in mappings if start <= address < end), "")
        for name, address in addresses.items()
    }


def mapped(maps: str) -> frozenset[str]:
    """The real paths of all files in a /proc/<pid>/maps."""
    return frozenset(file for _, _, file in _mappings(maps))


def _mappings(maps: str) -> list[tuple[int, int, str]]:
    """(start, end, real path) of each mapping of a file; one that was replaced on disk keeps its name."""
    mappings = []
    real = functools.cache(os.path.realpath)
    for line in maps.splitlines():
        span, *_, name = line.split(maxsplit=5)
        if name.startswith("/"):
            start, _, end = span.partition("-")
            mappings.append((int(start, 16), int(end, 16), real(name.removesuffix(" (deleted)"))))
    return mappings


def _addresses() -> dict[str, int]:
    """The address at which the program as a whole, and so every library in it, finds each function."""
    program = ctypes.CDLL(None)
    addresses = {name: ctypes.cast(getattr(program, name), ctypes.c_void_p).value for name in FAMILY}
    return {name: address for name, address in addresses.items() if address is not None}


def _is_libc(path: str) -> bool:
    """`libc.so.6`, `libc-2.31.so` or musl's loader."""
    return re.match(r"(libc(\.so|-\d)|ld-musl)", path.rpartition("/")[2]) is not None
