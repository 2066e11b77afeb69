"""The configuration that is exported, as all its interleaved runs show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autotune.core.confirmation import Winner
from autotune.core.results import Estimate, InterleavedRun, Status, TrialResult
from autotune.core.space_types import Price
from autotune.study.confirm.aggregate import Aggregate
from autotune.study.confirm.comparison import Table


def winner(
    found: Aggregate, rates: Table, names: tuple[str, str], results: Iterable[TrialResult], price: Price | None
) -> Winner:
    """The winner with what is claimed for it; `names` are its own and the baseline's in the table of rates.

    A time to set up that no interleaved run shows is that of its trial, which is looked for among the results.
    """
    candidate, known = found.candidate, found.metrics(price)
    tried = (result for result in results if result.status is Status.OK)
    trial = next((result for result in tried if result.spec.config == candidate.config), None)
    runs, rounds = rates.counts(*names)
    if trial is not None and trial.setup_s is not None:
        known.setdefault("setup_s", trial.setup_s)
    return Winner(
        trial=None if trial is None else trial.spec.id,
        config=candidate.config,
        throughput=found.rate,
        ratio=rates.ratio(*names),
        runs=runs,
        rounds=rounds,
        folders=found.folders,
        peak_rss_bytes=candidate.peak_rss_bytes,
        setup_s=known.get("setup_s"),
        cpu_s_per_sample=known["cpu_s_per_sample"],
        metrics=known,
        fidelity=candidate.fidelity,
        accuracy=candidate.accuracy,
        artifact=candidate.artifact,
        versions=candidate.versions,
        flags=candidate.flags,
    )


def above_one(ratio: Estimate | None) -> bool:
    """Whether a ratio is known to be a gain."""
    return ratio is not None and ratio.low is not None and ratio.low > 1


def disturbed(runs: Sequence[InterleavedRun]) -> float:
    """The share of all counted blocks that bear a closed gate."""
    blocks = [block for run in runs for candidate in run.candidates.values() for block in candidate.blocks]
    return sum(bool(block.gates) for block in blocks) / len(blocks) if blocks else 0.0
