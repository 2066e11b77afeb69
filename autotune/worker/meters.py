"""Figures that a worker reads of its own process: peak memory, package versions, latencies in rows."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MAX_CALLS = 100_000


def peak_rss_bytes() -> int:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version and those of the packages, without importing them."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def latency_rows(block: int, latencies_ns: Sequence[int]) -> np.ndarray[Any, Any]:
    """Rows (block, latency_ns, count): one a call, or a histogram with bins under 1 % wide past 100,000 calls."""
    values = np.asarray(latencies_ns, dtype=np.int64)
    counts = np.ones_like(values)
    if len(values) > MAX_CALLS:
        bins, counts = np.unique(np.round(np.log(values) * 100), return_counts=True)
        values = np.exp(bins / 100).astype(np.int64)
    return np.stack([np.full_like(values, block), values, counts], axis=1)
