"""`best.json`: the winner with everything that starting it again needs, as data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune import environment, stats
from autotune.files import write_atomically
from autotune.report import table, words
from autotune.results import Best, Measurements, TrialResult
from autotune.rules import MeasureRules
from autotune.study import ranking
from autotune.types import Hardware, Space


def best(folder: Path, space: Space, hw: Hardware, results: Sequence[TrialResult]) -> Best | None:
    """The fastest feasible trial as `Best`; None while the baseline or any other trial is missing.

    Its figures are those of the search's window: `confirmed` is false.
    """
    winner, base = ranking.best(results), ranking.baseline(results, space.baseline)
    if winner is None or base is None:
        return None
    config = winner.spec.config
    patch = environment.patch(config, hw)
    confidence = MeasureRules().confidence
    items = sum(block.items for block in winner.blocks)
    return Best(
        study=folder.name,
        trial=winner.spec.id,
        confirmed=False,
        workload=space.workload,
        config=config,
        environment=patch.env,
        preload=patch.preload,
        layout=environment.placements(config, hw),
        measured=Measurements(
            throughput=stats.interval(words.rates(winner), confidence),
            speedup=stats.ratio(words.rates(winner), words.rates(base), confidence),
            latency_p50_ms=table.median_latency_ms(folder, winner),
            cpu_s_per_sample=sum(block.cpu_ns for block in winner.blocks) / 1e9 / items,
            peak_rss_bytes=winner.peak_rss_bytes,
            setup_s=winner.setup_s,
        ),
        fidelity=winner.fidelity,
        hardware=hw,
        versions=winner.versions,
        artifact=winner.artifact,
    )


def write(path: Path, found: Best) -> None:
    """Write `best.json`, whole or not at all."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
