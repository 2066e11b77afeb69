"""Peak memory and package versions of this process."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
from collections.abc import Iterable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def peak_rss_bytes() -> int:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rss_bytes() -> int:
    """The memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version and those of the packages, without importing them."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
