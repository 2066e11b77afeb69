"""Latency percentiles of measured calls, each claimed only where enough calls back it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune.analysis import stats
from autotune.core.results import Latency, Percentile

PERCENTILES: dict[Percentile, float] = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
FILE = "latencies.npy"
Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Latencies:
    """All calls of the counted blocks of a configuration: latencies (ns, rising), each with the calls up to it."""

    values_ns: Rows
    cumulative: Rows

    @property
    def calls(self) -> int:
        """The number of calls; at least one."""
        return int(self.cumulative[-1])

    def percentile_ms(self, name: Percentile) -> float:
        """The latency (ms) that such a share of the calls did not exceed."""
        return float(self.values_ns[np.searchsorted(self.cumulative, PERCENTILES[name] * self.calls)]) / 1e6

    def backed_ms(self, name: Percentile) -> float | None:
        """The same where it can be claimed.

        None where the calls are too few: then not even the slowest of them bounds it at 99 % confidence.
        """
        return None if stats.calls_over(self.calls, PERCENTILES[name]) is None else self.percentile_ms(name)

    def highest_backed(self) -> tuple[Percentile, float] | None:
        """The highest percentile that is backed, with its name."""
        backed = [(name, value) for name in PERCENTILES if (value := self.backed_ms(name)) is not None]
        return backed[-1] if backed else None

    def summary(self) -> Latency:
        """The percentiles that a result keeps."""
        highest = self.highest_backed()
        percentiles = {f"{name}_ms": self.percentile_ms(name) for name in PERCENTILES}
        return Latency(calls=self.calls, backed=highest and highest[0], **percentiles)


def load_rows(folder: Path, blocks: Collection[int]) -> Rows | None:
    """The rows (rank, block, ns, count) of these blocks of a trial or candidate; None where none were kept."""
    path = folder / FILE
    if not path.exists():
        return None
    rows: Rows = np.load(path, allow_pickle=False)
    return rows[np.isin(rows[:, 1], list(blocks))]


def merge(parts: Sequence[Rows | None]) -> Latencies | None:
    """The calls of several parts; None where there are none."""
    filled = [part for part in parts if part is not None and len(part)]
    if not filled:
        return None
    rows = np.concatenate(filled)
    rows = rows[np.argsort(rows[:, 2])]
    return Latencies(values_ns=rows[:, 2], cumulative=np.cumsum(rows[:, 3]))
