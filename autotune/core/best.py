"""Types of the exported configuration (`best.json`)."""

from __future__ import annotations

import msgspec

from autotune.core.answers import Accuracy, Fidelity
from autotune.core.config import Config, Placement
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.results import ArtifactRef
from autotune.core.space_types import Limit, TimeLimits
from autotune.core.struct import FORMAT, Struct
from autotune.core.workload_spec import WorkloadSpec


class Claim(Struct):
    """A ratio with its interval over the interleaved runs and rounds of the confirmation; None without one.

    `indirect`: by way of another configuration, with so many runs at least of each of the two and that one.
    """

    estimate: float
    low: float | None
    high: float | None
    runs: int | None = msgspec.field(default=None, name="sittings")
    rounds: int | None = None
    indirect: bool = False


class Measurements(Struct):
    """The exported configuration's measurements; those of an unconfirmed study describe the search's window only.

    `metrics` holds the value of every registered metric that was measured. Those that have a field of their own as well
    have it for readers of older versions. `speedup` is None where the baseline's metric is not known, a latency
    percentile where too few calls back it. `noise_floor` is the log ratio that a configuration shows against itself.
    """

    throughput: Estimate
    speedup: Claim | None
    noise_floor: float | None = None
    latency_calls: int | None = None
    latency_p50_ms: float | None = None
    latency_p90_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    cpu_s_per_sample: float | None = None
    peak_rss_bytes: int | None = None
    setup_s: float | None = None
    cost_per_million: float | None = None
    served_rate: float | None = None
    metrics: dict[str, float] = {}


class Best(Struct):
    """`best.json`: data only, everything that starts production with the winner.

    `argv_prefix` goes before the program; `{node}` in it stands for the NUMA nodes of a worker's CPUs.

    `trial` is None for a configuration that only the confirmation measured: a winner without needless settings.
    `baseline` is what the speed-up is over; None in files of versions that did not write it.
    """

    study: str
    trial: int | None
    confirmed: bool
    workload: WorkloadSpec
    config: Config
    environment: dict[str, str | None]
    preload: tuple[str, ...]
    layout: tuple[Placement, ...]
    measured: Measurements
    fidelity: Fidelity | None
    hardware: Hardware
    versions: dict[str, str]
    artifact: ArtifactRef | None
    argv_prefix: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    objective: tuple[str, ...] = ("throughput",)
    constraints: tuple[Limit, ...] = ()
    baseline: Config | None = None
    limits: TimeLimits = TimeLimits()
    format: int = FORMAT
