"""`best.json`: the winner with everything that starting it again needs, as data."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune.analysis.latency import PERCENTILES, Latencies
from autotune.core.best import Best, Claim, Measurements
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.errors import StudyError, did_you_mean
from autotune.core.files import write_atomically
from autotune.core.results import TrialResult
from autotune.core.space_types import Space
from autotune.core.types import Hardware
from autotune.launch import environment
from autotune.study.ranking import Ranking
from autotune.study.storage import latency_files


def best(
    folder: Path, space: Space, hw: Hardware, results: Sequence[TrialResult], confirmation: Confirmation | None
) -> Best | None:
    """What the confirmation upholds as `Best`, the baseline where that found no gain.

    Without a confirmation it is the fastest feasible trial, with the figures of the search's own windows and
    `confirmed` false; None while the baseline or any other trial is missing.
    """
    if confirmation is not None and confirmation.winner is not None:
        winner = confirmation.winner
        measured = Measurements(
            throughput=winner.throughput,
            speedup=None
            if winner.ratio is None
            else Claim(
                estimate=winner.ratio.estimate,
                low=winner.ratio.low,
                high=winner.ratio.high,
                runs=winner.runs,
                rounds=winner.rounds,
            ),
            noise_floor=confirmation.noise_floor,
            cpu_s_per_sample=winner.cpu_s_per_sample,
            peak_rss_bytes=winner.peak_rss_bytes,
            setup_s=winner.setup_s,
            cost_per_million=winner.figures.get("cost_per_million"),
            served_rate=None if winner.sustained is None else winner.sustained.rate,
        )
        calls = latency_files.read([folder / one for one in winner.folders])
        return _best(folder, space, hw, winner, _with_latency(measured, calls), confirmed=True)
    ranking = Ranking(results, space.goal)
    return None if ranking.best is None else trial(folder, space, hw, ranking, ranking.best)


def trial(folder: Path, space: Space, hw: Hardware, ranking: Ranking, winner: TrialResult) -> Best | None:
    """A measured trial as `Best`, with the search's own figures; None while the baseline is missing."""
    base = ranking.baseline(space.baseline)
    if base is None:
        return None
    ratio = ranking.ratio(winner, base)
    items = sum(block.items for block in winner.blocks)
    measured = Measurements(
        throughput=ranking.interval(winner),
        speedup=Claim(estimate=ratio.estimate, low=ratio.low, high=ratio.high),
        cpu_s_per_sample=sum(block.cpu_ns for block in winner.blocks) / 1e9 / items,
        peak_rss_bytes=winner.peak_rss_bytes,
        setup_s=winner.setup_s,
        cost_per_million=ranking.known(winner).get("cost_per_million"),
        served_rate=ranking.known(winner).get("served_rate"),
    )
    return _best(
        folder, space, hw, winner, _with_latency(measured, latency_files.of_trial(folder, winner)), confirmed=False
    )


def _with_latency(measured: Measurements, calls: Latencies | None) -> Measurements:
    """The percentiles that enough calls back."""
    if calls is None:
        return measured
    figures = {name: calls.percentile_ms(name) for name in PERCENTILES}
    return msgspec.structs.replace(
        measured, latency_calls=calls.calls, **{f"latency_{name}_ms": value for name, value in figures.items()}
    )


def _best(
    folder: Path, space: Space, hw: Hardware, winner: Winner | TrialResult, measured: Measurements, *, confirmed: bool
) -> Best:
    config = winner.config if isinstance(winner, Winner) else winner.spec.config
    trial = winner.trial if isinstance(winner, Winner) else winner.spec.id
    patch = environment.patch(config, hw)
    return Best(
        study=folder.name,
        trial=trial,
        confirmed=confirmed,
        workload=space.workload,
        config=config,
        environment=patch.env,
        preload=patch.preload,
        argv_prefix=patch.argv_prefix,
        layout=environment.placements(config, hw),
        measured=measured,
        fidelity=winner.fidelity,
        hardware=hw,
        versions=winner.versions,
        artifact=winner.artifact,
        accuracy=winner.accuracy,
        objective=space.goal.objectives,
        constraints=space.constraints,
        baseline=space.baseline,
    )


def write(path: Path, found: Best) -> None:
    """Write `best.json`, whole or not at all."""
    write_atomically(path, text(found, "json").encode())


def save(path: Path, written: str) -> None:
    """Write what a user asked for into a file of theirs, whole or not at all; StudyError where it cannot be."""
    try:
        # Names of files need not be text: what stands for their bytes is written as a question mark.
        write_atomically(path, written.encode(errors="replace"))
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}; choose another with -o FILE") from error


def formats() -> tuple[str, ...]:
    """The forms that `text` knows: the files of `exports`, sorted."""
    files = (Path(__file__).parent / "forms").glob("[!_]*.py")
    return tuple(sorted(file.stem for file in files))


def text(found: Best, form: str) -> str:
    """A configuration in one of `formats()`; StudyError names the forms, or says why this one does not fit it."""
    if form not in formats():
        raise StudyError(f"unknown format {form!r}{did_you_mean(form, formats())}")
    told: str = importlib.import_module(f"autotune.report.export.forms.{form}").text(found)
    return told
