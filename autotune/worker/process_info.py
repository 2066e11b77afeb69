"""Peak memory and package versions of this process."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
from collections.abc import Iterable


def peak_rss_bytes() -> int:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version and those of the packages, without importing them."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
