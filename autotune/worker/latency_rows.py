"""Latencies of a block's calls as rows of an array, one a call, or binned where there are very many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_CALLS = 100_000


def latency_rows(block: int, latencies_ns: Sequence[int]) -> np.ndarray[Any, Any]:
    """Rows (block, latency_ns, count): one a call, or a histogram with bins under 1 % wide past 100,000 calls."""
    values = np.asarray(latencies_ns, dtype=np.int64)
    counts = np.ones_like(values)
    if len(values) > MAX_CALLS:
        bins, counts = np.unique(np.round(np.log(values) * 100), return_counts=True)
        values = np.exp(bins / 100).astype(np.int64)
    return np.stack([np.full_like(values, block), values, counts], axis=1)
