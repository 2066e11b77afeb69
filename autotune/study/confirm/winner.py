"""The configuration that is exported, as all its sittings show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autotune.core.confirmation import Winner
from autotune.core.results import Estimate, Sitting, Status, TrialResult
from autotune.core.space_types import Price
from autotune.study.confirm.aggregate import Pooled
from autotune.study.confirm.comparison import Table


def winner(
    found: Pooled, rates: Table, names: tuple[str, str], results: Iterable[TrialResult], price: Price | None
) -> Winner:
    """The winner with what is claimed for it; `names` are its own and the baseline's in the table of rates.

    A time to set up that no sitting shows is that of its trial, which is looked for among the results.
    """
    seat, known = found.seat, found.figures(price)
    tried = (result for result in results if result.status is Status.OK)
    trial = next((result for result in tried if result.spec.config == seat.config), None)
    sittings, rounds = rates.counts(*names)
    if trial is not None and trial.setup_s is not None:
        known.setdefault("setup_s", trial.setup_s)
    return Winner(
        trial=None if trial is None else trial.spec.id,
        config=seat.config,
        throughput=found.rate,
        ratio=rates.ratio(*names),
        sittings=sittings,
        rounds=rounds,
        folders=found.folders,
        peak_rss_bytes=seat.peak_rss_bytes,
        setup_s=known.get("setup_s"),
        cpu_s_per_sample=known["cpu_s_per_sample"],
        figures=known,
        fidelity=seat.fidelity,
        accuracy=seat.accuracy,
        artifact=seat.artifact,
        versions=seat.versions,
        flags=seat.flags,
    )


def above_one(ratio: Estimate | None) -> bool:
    """Whether a ratio is known to be a gain."""
    return ratio is not None and ratio.low is not None and ratio.low > 1


def disturbed(sittings: Sequence[Sitting]) -> float:
    """The share of all counted blocks that bear a closed gate."""
    blocks = [block for sitting in sittings for seat in sitting.seats.values() for block in seat.blocks]
    return sum(bool(block.gates) for block in blocks) / len(blocks) if blocks else 0.0
