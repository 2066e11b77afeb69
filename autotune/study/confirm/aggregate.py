"""One candidate over all its interleaved runs: its blocks, rate and latencies merged, and its metrics."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotune.analysis import metrics, stats
from autotune.analysis.metric import Measured
from autotune.core.estimate import Estimate
from autotune.core.results import Candidate, InterleavedRun, Latency
from autotune.core.space_types import Price
from autotune.study.confirm import scores
from autotune.study.storage import latency_files


@dataclass(frozen=True)
class Aggregate:
    """A candidate with the blocks of all its runs, its rate over the runs, its calls, and its folder in each run."""

    candidate: Candidate
    rate: Estimate
    calls: Latency | None
    folders: tuple[str, ...]

    def metrics(self, price: Price | None) -> dict[str, float]:
        """The values of its metrics by name."""
        return metrics.values(Measured(self.candidate, self.rate.estimate, price, self.calls))


def merge(root: Path, runs: Sequence[InterleavedRun], name: str, confidence: float) -> Aggregate | None:
    """The candidate of this name over all runs; None if it has no block in any.

    The time to set up is that of runs in which it was started alone: side by side all of them wait for the CPU.
    """
    measured = [run for run in runs if name in run.candidates and run.candidates[name].blocks]
    if not measured:
        return None
    candidates = [run.candidates[name] for run in measured]
    last = next((candidate for candidate in reversed(candidates) if candidate.error is None), candidates[-1])
    table = scores.table(runs, [name], confidence, "throughput")
    means = [math.fsum(logs) / len(logs) for logs in table.logs[name] if logs]
    folders = tuple(f"{run.spec.folder}/{name}" for run in measured)
    calls = latency_files.read([root / folder for folder in folders])
    setups = [run.candidates[name].setup_s for run in measured if _alone(run)]
    known_setups = [setup_s for setup_s in setups if setup_s is not None]
    whole = msgspec.structs.replace(
        last,
        blocks=tuple(block for candidate in candidates for block in candidate.blocks),
        peak_rss_bytes=max((one.peak_rss_bytes for one in candidates if one.peak_rss_bytes is not None), default=None),
        setup_s=statistics.median(known_setups) if known_setups else None,
        flags=tuple(sorted({flag for candidate in candidates for flag in candidate.flags})),
    )
    rate = stats.from_logs(stats.mean(means, confidence))
    return Aggregate(candidate=whole, rate=rate, calls=None if calls is None else calls.summary(), folders=folders)


def _alone(run: InterleavedRun) -> bool:
    return len(run.spec.configs) == 1 or not run.spec.together
