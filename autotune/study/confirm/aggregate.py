"""A configuration over all its interleaved runs as one: its metrics, and the check of its limits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotune.analysis import constraints, metrics, stats
from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metric import Measured
from autotune.core.results import Candidate, Estimate, InterleavedRun, Latency
from autotune.core.space_types import Goal, Price
from autotune.study.confirm import comparison
from autotune.study.storage import latency_files


@dataclass(frozen=True)
class Aggregate:
    """All blocks of a configuration in one candidate, its rate over the runs, its calls, and where they are kept."""

    candidate: Candidate
    rate: Estimate
    calls: Latency | None
    folders: tuple[str, ...]

    def metrics(self, price: Price | None) -> dict[str, float]:
        """The values of its metrics by name."""
        return metrics.values(Measured(self.candidate, self.rate.estimate, price, self.calls))


@dataclass(frozen=True)
class Limits:
    """The limits of a goal, on a study's folder; `alone` are the interleaved runs that only a limit needed."""

    root: Path
    goal: Goal
    confidence: float
    alone: tuple[InterleavedRun, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there are several objectives: a front, and no single best."""
        return len(self.goal.objectives) > 1

    def checks(self, runs: Sequence[InterleavedRun], name: str, *, tried: bool = True) -> tuple[ConstraintCheck, ...]:
        """Each limit checked by these interleaved runs; nothing for a configuration without a block.

        A time to set up that they do not show was checked by the trial of a configuration that was `tried`.
        """
        found = pooled(self.root, [*runs, *self.alone], name, self.confidence)
        if found is None:
            return ()
        values = found.metrics(self.goal.price)
        limits = [one for one in self.goal.limits if not tried or one.metric != "setup_s" or one.metric in values]
        return constraints.check(limits, values)

    def broken(self, runs: Sequence[InterleavedRun], name: str, *, tried: bool = True) -> ConstraintCheck | None:
        """The limit that it breaks the most; None where it keeps all."""
        if not self.goal.limits:
            return None
        worst = max(self.checks(runs, name, tried=tried), key=lambda one: one.violation, default=None)
        return None if worst is None or worst.satisfied else worst


def pooled(root: Path, runs: Sequence[InterleavedRun], name: str, confidence: float) -> Aggregate | None:
    """What the interleaved runs of a configuration hold together; None where it has no block in any.

    The time to set up is that of runs in which it was started alone: side by side all of them wait for the CPU.
    """
    found = [(run, run.candidates[name]) for run in runs if name in run.candidates]
    found = [(run, candidate) for run, candidate in found if candidate.blocks]
    if not found:
        return None
    candidates = [candidate for _, candidate in found]
    last = next((candidate for candidate in reversed(candidates) if candidate.error is None), candidates[-1])
    rates = comparison.table(runs, [name], confidence, "throughput")
    means = [math.fsum(logs) / len(logs) for logs in rates.logs[name] if logs]
    folders = tuple(f"{run.spec.folder}/{name}" for run, _ in found)
    calls = latency_files.read([root / folder for folder in folders])
    setups = [candidate.setup_s for run, candidate in found if candidate.setup_s is not None and _alone(run)]
    whole = msgspec.structs.replace(
        last,
        blocks=tuple(block for candidate in candidates for block in candidate.blocks),
        peak_rss_bytes=max((s.peak_rss_bytes for s in candidates if s.peak_rss_bytes is not None), default=None),
        setup_s=statistics.median(setups) if setups else None,
        flags=tuple(sorted({flag for candidate in candidates for flag in candidate.flags})),
    )
    rate = stats.from_logs(stats.mean(means, confidence))
    return Aggregate(candidate=whole, rate=rate, calls=None if calls is None else calls.summary(), folders=folders)


def _alone(run: InterleavedRun) -> bool:
    return len(run.spec.configs) == 1 or not run.spec.together
