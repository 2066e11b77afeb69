"""Latency percentiles of measured calls, each claimed only where enough calls back it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune import stats
from autotune.results import Sitting, TrialResult
from autotune.study import store

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Latencies:
    """All calls of the counted blocks of a configuration: latencies (ns, rising) with how often each was seen."""

    values_ns: Rows
    seen: Rows

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return int(self.seen[-1]) if len(self.seen) else 0

    def percentile_ms(self, name: str) -> float | None:
        """p50, p90, p95 or p99 in milliseconds: the latency that so many calls did not exceed.

        None where the calls are too few: then not even the slowest of them bounds it at 99 % confidence.
        """
        share = PERCENTILES[name]
        if not self.calls or stats.calls_over(self.calls, share) is None:
            return None
        at = np.searchsorted(self.seen, share * self.calls)
        return float(self.values_ns[min(int(at), len(self.values_ns) - 1)]) / 1e6

    def highest_ms(self) -> tuple[str, float] | None:
        """The highest percentile that is backed, with its name."""
        found = [(name, value) for name in PERCENTILES if (value := self.percentile_ms(name)) is not None]
        return found[-1] if found else None


def of_trial(folder: Path, result: TrialResult) -> Latencies | None:
    """The calls of a trial's measured blocks; None where no latencies were kept."""
    return _latencies([_rows(folder / result.spec.folder, {block.number for block in result.blocks})])


def read(folders: Sequence[Path]) -> Latencies | None:
    """The calls of a configuration over several sittings, given its folder in each."""
    parts = []
    for folder in folders:
        path = folder.parent / "sitting.json"
        if path.exists():
            blocks = store.decode(path, Sitting).seats[folder.name].blocks
            parts.append(_rows(folder, {block.number for block in blocks}))
    return _latencies(parts)


def _rows(folder: Path, blocks: Collection[int]) -> Rows | None:
    """The rows (rank, block, ns, count) of these blocks."""
    path = folder / "latencies.npy"
    if not path.exists():
        return None
    rows: Rows = np.load(path, allow_pickle=False)
    return rows[np.isin(rows[:, 1], list(blocks))]


def _latencies(parts: Sequence[Rows | None]) -> Latencies | None:
    kept = [rows for rows in parts if rows is not None and len(rows)]
    if not kept:
        return None
    rows = np.concatenate(kept)
    rows = rows[np.argsort(rows[:, 2], kind="stable")]
    return Latencies(values_ns=rows[:, 2], seen=np.cumsum(rows[:, 3]))
