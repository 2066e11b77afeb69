"""The latencies that a study keeps of a trial, and of a configuration in its confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autotune.analysis import latency
from autotune.analysis.latency import Latencies
from autotune.core.results import InterleavedRun, Latency, TrialResult
from autotune.study.storage import store


def of_trial(folder: Path, result: TrialResult) -> Latencies | None:
    """The calls of a trial's measured blocks; None where no latencies were kept."""
    return latency.merge([latency.load_rows(folder / result.spec.folder, {block.number for block in result.blocks})])


def summary(folder: Path, result: TrialResult) -> Latency | None:
    """The percentiles of a trial's calls: the result has them, unless an early version wrote that."""
    if result.latency is not None:
        return result.latency
    found = of_trial(folder, result)
    return None if found is None else found.summary()


def read(folders: Sequence[Path]) -> Latencies | None:
    """The calls of a configuration over several interleaved runs, given its folder in each; None without any."""
    parts = []
    for folder in folders:
        path = folder.parent / "sitting.json"
        if path.exists():
            candidate = store.decode(path, InterleavedRun).candidates.get(folder.name)
            if candidate is not None:
                parts.append(latency.load_rows(folder, {block.number for block in candidate.blocks}))
    return latency.merge(parts)
