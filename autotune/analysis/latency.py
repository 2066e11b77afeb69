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
    """All calls of the counted blocks of a configuration: latencies (ns, rising) with how often each was seen."""

    values_ns: Rows
    seen: Rows

    @property
    def calls(self) -> int:
        """How many calls there were; at least one."""
        return int(self.seen[-1])

    def seen_ms(self, name: Percentile) -> float:
        """The latency (ms) that such a share of the calls did not exceed."""
        at = np.searchsorted(self.seen, PERCENTILES[name] * self.calls)
        return float(self.values_ns[min(int(at), len(self.values_ns) - 1)]) / 1e6

    def percentile_ms(self, name: Percentile) -> float | None:
        """The same where it can be claimed.

        None where the calls are too few: then not even the slowest of them bounds it at 99 % confidence.
        """
        return None if stats.calls_over(self.calls, PERCENTILES[name]) is None else self.seen_ms(name)

    def highest_ms(self) -> tuple[Percentile, float] | None:
        """The highest percentile that is backed, with its name."""
        found = [(name, value) for name in PERCENTILES if (value := self.percentile_ms(name)) is not None]
        return found[-1] if found else None

    def summary(self) -> Latency:
        """What a result keeps of them."""
        highest = self.highest_ms()
        figures = {f"{name}_ms": self.seen_ms(name) for name in PERCENTILES}
        return Latency(calls=self.calls, backed=highest and highest[0], **figures)


def rows(folder: Path, blocks: Collection[int]) -> Rows | None:
    """The rows (rank, block, ns, count) of these blocks of a trial or candidate; None where none were kept."""
    path = folder / FILE
    if not path.exists():
        return None
    found: Rows = np.load(path, allow_pickle=False)
    return found[np.isin(found[:, 1], list(blocks))]


def joined(parts: Sequence[Rows | None]) -> Latencies | None:
    """The calls of several such; None where there are none."""
    kept = [part for part in parts if part is not None and len(part)]
    if not kept:
        return None
    found = np.concatenate(kept)
    found = found[np.argsort(found[:, 2], kind="stable")]
    return Latencies(values_ns=found[:, 2], seen=np.cumsum(found[:, 3]))
