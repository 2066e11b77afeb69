"""A study's winner, or another of its trials, as the contents of `best.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from autotune.analysis import metrics
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import LATENCIES, METRICS
from autotune.core import plugins
from autotune.core.best import Best, Claim, Measurements
from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.errors import StudyError
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.results import Latency, TrialResult
from autotune.core.space_types import Space
from autotune.launch import environment
from autotune.space.values import illegal
from autotune.study import evidence
from autotune.study.evidence import Evidence
from autotune.study.ranking import Ranking
from autotune.study.storage import latency_files


def best(
    folder: Path, space: Space, hw: Hardware, results: Sequence[TrialResult], confirmation: Confirmation | None
) -> Best | None:
    """The winner as `Best`, with the figures of the strongest evidence; the baseline where no gain is confirmed.

    `confirmed` is false while a confirmation has not the interleaved runs of a claim, or there is none. None while the
    baseline or any other trial is missing.
    """
    ranking = Ranking(results, space.goal)
    found = evidence.strongest(ranking, space, hw, confirmation)
    if found is None:
        return None
    if isinstance(found.source, TrialResult):
        return _of_trial(folder, space, hw, ranking, found)
    winner = found.source
    claim = None if winner.ratio is None else _claim(winner.ratio, winner)
    calls = latency_files.read([folder / one for one in winner.folders])
    latency = None if calls is None else calls.summary()
    measured = _measurements(winner.throughput, claim, latency, _of_winner(winner, latency))
    noise_floor = None if confirmation is None else confirmation.noise_floor
    measured = msgspec.structs.replace(measured, noise_floor=noise_floor)
    return _best(folder, space, hw, winner, measured, confirmed=found.level == "confirmed")


def trial(folder: Path, space: Space, hw: Hardware, ranking: Ranking, winner: TrialResult) -> Best | None:
    """A measured trial as `Best`, with the search's evidence for it; None while the baseline is missing."""
    known = evidence.posterior(ranking, space, hw)
    return _of_trial(folder, space, hw, ranking, evidence.of_trial(winner, ranking, space, known))


def _of_trial(folder: Path, space: Space, hw: Hardware, ranking: Ranking, found: Evidence) -> Best | None:
    assert isinstance(found.source, TrialResult)
    if ranking.baseline(space.baseline) is None:
        return None
    claim = None if found.ratio is None else _claim(found.ratio)
    latency = latency_files.summary(folder, found.source)
    values = metrics.values(Measured(found.source, found.rate.estimate, space.price, latency))
    measured = _measurements(found.rate, claim, latency, values)
    return _best(folder, space, hw, found.source, measured, confirmed=False)


def _claim(ratio: Estimate, winner: Winner | None = None) -> Claim:
    """The ratio as a claim, with the runs of a winner that was confirmed."""
    found = Claim(estimate=ratio.estimate, low=ratio.low, high=ratio.high)
    if winner is None:
        return found
    return msgspec.structs.replace(found, runs=winner.runs, rounds=winner.rounds, indirect=winner.indirect)


def _of_winner(winner: Winner, latency: Latency | None) -> dict[str, float]:
    """The confirmed values of metrics; percentiles are those of its calls alone, the rate of requests the kept one."""
    fields = {name: getattr(winner, name) for name in ("cpu_s_per_sample", "peak_rss_bytes", "setup_s")}
    fields |= {name: None if latency is None else metrics.backed_ms(latency, one) for name, one in LATENCIES.items()}
    fields["served_rate"] = None if winner.sustained is None else winner.sustained.rate
    return {name: value for name, value in (winner.metrics | fields).items() if value is not None}


def _measurements(
    throughput: Estimate, claim: Claim | None, latency: Latency | None, values: Mapping[str, float]
) -> Measurements:
    """The values by name, and in the fields that some of them have as well."""
    known = {name: value for name, value in values.items() if name in METRICS}
    own = {name: known[name] for name in known if name in Measurements.__struct_fields__ and name != "throughput"}
    calls = None if latency is None else latency.calls
    measured = Measurements(throughput=throughput, speedup=claim, latency_calls=calls, metrics=known)
    return msgspec.structs.replace(measured, **own)


def _best(
    folder: Path, space: Space, hw: Hardware, winner: Winner | TrialResult, measured: Measurements, *, confirmed: bool
) -> Best:
    config = winner.config if isinstance(winner, Winner) else winner.spec.config
    trial = winner.trial if isinstance(winner, Winner) else winner.spec.id
    _check_knobs(folder, config, hw)
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
        limits=space.limits,
    )


def _check_knobs(folder: Path, config: Config, hw: Hardware) -> None:
    """StudyError for a knob's value that is not legal or cannot be had on the machine, as in a damaged study."""
    for name, value in config.knobs.items():
        legal = illegal(name, value)
        reason = f"allowed: {legal}" if legal else plugins.load("knobs", name).unavailable(value, hw)
        if reason:
            raise StudyError(f"{folder} has a configuration with {name} {value}, which cannot be started: {reason}")
