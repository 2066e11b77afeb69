"""What was measured: the frozen nouns of `result.json` and `best.json`."""

from __future__ import annotations

import enum
from typing import Literal

from autotune.types import FORMAT, Config, Hardware, Placement, SittingSpec, Struct, TrialSpec, WorkloadSpec


class Canary(Struct):
    """How fast the machine was around a block: operations per second and core of three small computations.

    `compute` is a matrix product, `memory` a copy larger than a core's own cache, `scalar` a hash.
    """

    cores: int
    compute: float
    memory: float
    scalar: float

    @property
    def parts(self) -> dict[str, float]:
        """The computations by name."""
        return {"compute": self.compute, "memory": self.memory, "scalar": self.scalar}


class Surroundings(Struct):
    """The machine during a block, as shares of its time; None where it cannot be read.

    `others` is what other processes of this machine used of the trial's cores, `steal` what the hypervisor took of
    them; pressure is that of the whole machine beyond our own control group's.
    """

    others: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    steal: float | None = None
    frequency_mhz: float | None = None


class Block(Struct):
    """One measured slice of time, summed over the workers; calls that straddle an edge count in part.

    `number` is the one that the workers' latencies bear. `gates` names what was closed while it was measured.
    """

    start_ns: int
    elapsed_ns: int
    items: float
    calls: int
    cpu_ns: int
    number: int = 0
    unit: Literal["sample", "token", "step"] = "sample"
    canary: Canary | None = None
    surroundings: Surroundings | None = None
    gates: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / self.elapsed_ns * 1e9


class Fidelity(Struct):
    """How close the outputs are to the float32 eager reference; `judged` is false where that says nothing."""

    judged: bool
    samples: int
    cosine_similarity: float
    centred_error: float | None
    max_abs_error: float


class Status(str, enum.Enum):  # noqa: UP042 - Python 3.10, which may run a worker, has no StrEnum
    """How a trial ended; all but `ok`, `rejected` and `interrupted` say that the configuration does not run."""

    OK = "ok"
    REJECTED = "rejected"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    WRONG_OUTPUT = "wrong_output"
    NOT_APPLIED = "not_applied"
    PREPARE_FAILED = "prepare_failed"
    UNSUPPORTED = "unsupported"
    INTERRUPTED = "interrupted"

    __str__ = str.__str__

    @property
    def measured(self) -> bool:
        """Whether the trial has a rate that the sampler may learn."""
        return self in (Status.OK, Status.REJECTED)


class ArtifactRef(Struct):
    """A prepared model in the cache: its key, the digest of its content, what making it took (0 when cached)."""

    key: str
    sha256: str
    bytes: int
    prepare_s: float


class TrialResult(Struct):
    """What one trial measured: raw blocks, never a statistic, so that better statistics can be computed later.

    `repeated` are the blocks that were measured again, since a gate was closed.
    """

    spec: TrialSpec
    status: Status
    feasible: bool = True
    blocks: tuple[Block, ...] = ()
    warmup: tuple[Block, ...] = ()
    repeated: tuple[Block, ...] = ()
    flags: tuple[str, ...] = ()
    load_s: float | None = None
    first_call_s: float | None = None
    setup_s: float | None = None
    wall_s: float = 0.0
    peak_rss_bytes: int | None = None
    fidelity: Fidelity | None = None
    error: str | None = None
    artifact: ArtifactRef | None = None
    versions: dict[str, str] = {}
    fingerprint: str = ""
    started: str = ""
    format: int = FORMAT


class Seat(Struct):
    """One configuration in a sitting: a block for each round, fewer if it failed, and what a trial keeps, too."""

    config: Config
    blocks: tuple[Block, ...] = ()
    warmup: tuple[Block, ...] = ()
    repeated: tuple[Block, ...] = ()
    error: str | None = None
    setup_s: float | None = None
    peak_rss_bytes: int | None = None
    idle_share: float | None = None
    flags: tuple[str, ...] = ()
    fidelity: Fidelity | None = None
    artifact: ArtifactRef | None = None
    versions: dict[str, str] = {}


class Sitting(Struct):
    """One start of several configurations, all alive and stopped but one, measured in rounds: raw, as in a trial.

    `start_s` is what went before the first round. `idle_share` of a seat is the part of a core that it used while
    another was measured.
    """

    spec: SittingSpec
    seats: dict[str, Seat]
    start_s: float
    wall_s: float
    started: str
    fingerprint: str
    format: int = FORMAT

    @property
    def round_s(self) -> float | None:
        """The seconds of a round; None where there was none."""
        rounds = max((len(seat.blocks) for seat in self.seats.values()), default=0)
        return (self.wall_s - self.start_s) / rounds if rounds else None


class Estimate(Struct):
    """A figure with its interval; None where there are too few values for one."""

    estimate: float
    low: float | None
    high: float | None


class Claim(Struct):
    """A ratio with its interval over the sittings and rounds of the confirmation; None without one."""

    estimate: float
    low: float | None
    high: float | None
    sittings: int | None = None
    rounds: int | None = None


class Measurements(Struct):
    """The exported configuration's figures; those of an unconfirmed study describe the search's window only.

    A latency percentile is None where too few calls back it. `noise_floor` is the log ratio that a configuration shows
    against itself.
    """

    throughput: Estimate
    speedup: Claim
    noise_floor: float | None = None
    latency_calls: int | None = None
    latency_p50_ms: float | None = None
    latency_p90_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    cpu_s_per_sample: float | None = None
    peak_rss_bytes: int | None = None
    setup_s: float | None = None


class Best(Struct):
    """`best.json`: data only, everything that starts production with the winner.

    `argv_prefix` goes before the program; `{node}` in it stands for the NUMA nodes of a worker's CPUs.

    `trial` is None for a configuration that only the confirmation measured: a winner without needless settings.
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
    format: int = FORMAT
