"""The claim: the configuration that is exported, with what all its interleaved runs show of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.estimate import Estimate
from autotune.core.results import InterleavedRun, Status, TrialResult
from autotune.core.space_types import Price
from autotune.study.confirm.aggregate import Aggregate
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.scores import ScoreTable


def winner(
    name: str, merged: Aggregate, rates: ScoreTable, results: Iterable[TrialResult], price: Price | None
) -> Winner:
    """The candidate of this name as the winner, its ratio being that to the baseline in the table of rates.

    By way of another its runs are those of the step that has fewer.

    A time to set up that no interleaved run shows is that of its trial, unless other package versions measured it.
    """
    candidate, known = merged.candidate, merged.metrics(price)
    measured = (result for result in results if result.status is Status.OK)
    trial = next((result for result in measured if result.spec.config == candidate.config), None)
    link = rates.link(name, BASELINE)
    steps = [(name, BASELINE)] if link is None else [(name, link), (link, BASELINE)]
    runs, rounds = min(rates.counts(*step) for step in steps)
    if trial is not None and trial.setup_s is not None and trial.versions.items() <= candidate.versions.items():
        known.setdefault("setup_s", trial.setup_s)
    return Winner(
        trial=None if trial is None else trial.spec.id,
        config=candidate.config,
        throughput=merged.rate,
        ratio=rates.ratio(name, BASELINE),
        runs=runs,
        rounds=rounds,
        indirect=link is not None,
        folders=merged.folders,
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


def none(reason: str) -> Confirmation:
    """The confirmation that claims nothing, since nothing could be measured."""
    return Confirmation(confirmed=False, gain=False, winner=None, noise_floor=None, finalists=(), reason=reason)


def stands(earlier: Confirmation, found: Confirmation, baseline: Config) -> bool:
    """True if an earlier gain is kept: nothing is claimed now, and what was measured does not refute it."""
    if found.confirmed or not earlier.gain or earlier.winner is None:
        return False
    failed = {one.config.key for one in found.finalists if one.error is not None}
    broken = {one.config.key for one in found.finalists if one.broken is not None}
    winner = earlier.winner.config.key
    return winner not in failed | broken and baseline.key not in failed


def above_one(ratio: Estimate | None) -> bool:
    """True if a ratio is a gain for sure."""
    return ratio is not None and ratio.low is not None and ratio.low > 1


def disturbed(runs: Sequence[InterleavedRun]) -> float:
    """The share of all counted blocks during which the machine was disturbed."""
    blocks = [block for run in runs for candidate in run.candidates.values() for block in candidate.blocks]
    return sum(bool(block.disturbances) for block in blocks) / len(blocks) if blocks else 0.0
