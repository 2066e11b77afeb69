"""A configuration over all its sittings as one: its figures, and whether they keep the limits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotune.analysis import metrics as figures
from autotune.analysis import stats
from autotune.analysis.metrics import Judgement
from autotune.core.results import Estimate, Latency, Seat, Sitting
from autotune.core.space_types import Goal, Price
from autotune.study.confirm import comparison
from autotune.study.storage import latency_files


@dataclass(frozen=True)
class Pooled:
    """All blocks of a configuration in one seat, its rate over the sittings, its calls, and where they are kept."""

    seat: Seat
    rate: Estimate
    calls: Latency | None
    folders: tuple[str, ...]

    def figures(self, price: Price | None) -> dict[str, float]:
        """Its figures by name."""
        return figures.of(self.seat, self.rate.estimate, price, self.calls)


@dataclass(frozen=True)
class Limits:
    """The limits of a goal, on a study's folder; `alone` are the sittings that only a limit needed."""

    root: Path
    goal: Goal
    confidence: float
    alone: tuple[Sitting, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there are several objectives: a front, and no single best."""
        return len(self.goal.objectives) > 1

    def judged(self, sittings: Sequence[Sitting], name: str) -> tuple[Judgement, ...]:
        """How a configuration stands to each limit after these sittings; nothing where it has no block."""
        found = pooled(self.root, [*sittings, *self.alone], name, self.confidence)
        return () if found is None else figures.judged(self.goal.limits, found.figures(self.goal.price))

    def broken(self, sittings: Sequence[Sitting], name: str) -> Judgement | None:
        """The limit that it breaks the most; None where it keeps all."""
        if not self.goal.limits:
            return None
        worst = max(self.judged(sittings, name), key=lambda one: one.excess, default=None)
        return None if worst is None or worst.kept else worst


def pooled(root: Path, sittings: Sequence[Sitting], name: str, confidence: float) -> Pooled | None:
    """What the sittings of a configuration hold together; None where it has no block in any.

    The time to set up is that of sittings in which it was started alone: side by side all of them wait for the CPU.
    """
    found = [(sitting, sitting.seats[name]) for sitting in sittings if name in sitting.seats]
    found = [(sitting, seat) for sitting, seat in found if seat.blocks]
    if not found:
        return None
    seats = [seat for _, seat in found]
    last = next((seat for seat in reversed(seats) if seat.error is None), seats[-1])
    rates = comparison.table(sittings, [name], confidence, "throughput")
    means = [math.fsum(logs) / len(logs) for logs in rates.logs[name] if logs]
    folders = tuple(f"{sitting.spec.folder}/{name}" for sitting, _ in found)
    calls = latency_files.read([root / folder for folder in folders])
    setups = [seat.setup_s for sitting, seat in found if seat.setup_s is not None and _alone(sitting)]
    whole = msgspec.structs.replace(
        last,
        blocks=tuple(block for seat in seats for block in seat.blocks),
        peak_rss_bytes=max((s.peak_rss_bytes for s in seats if s.peak_rss_bytes is not None), default=None),
        setup_s=statistics.median(setups) if setups else None,
        flags=tuple(sorted({flag for seat in seats for flag in seat.flags})),
    )
    rate = stats.exponential(stats.mean(means, confidence))
    return Pooled(seat=whole, rate=rate, calls=None if calls is None else calls.summary(), folders=folders)


def _alone(sitting: Sitting) -> bool:
    return len(sitting.spec.configs) == 1 or not sitting.spec.together
