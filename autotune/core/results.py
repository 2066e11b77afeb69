"""Result types of trials and interleaved runs (result.json, sitting.json)."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

import msgspec

from autotune.core.answers import Accuracy, Fidelity
from autotune.core.config import Config
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import FORMAT, Struct

Positive = Annotated[float, msgspec.Meta(gt=0)]
Percentile = Literal["p50", "p90", "p95", "p99"]


class Canary(Struct):
    """The speed of the machine around a block: operations per second and core of three small computations.

    `compute` is a matrix product, `memory` a copy larger than a core's own cache, `scalar` a hash.
    """

    cores: int
    compute: Positive
    memory: Positive
    scalar: Positive

    @property
    def parts(self) -> dict[str, float]:
        """The computations by name."""
        return {"compute": self.compute, "memory": self.memory, "scalar": self.scalar}


class Interference(Struct):
    """The machine during a block, as shares of its time; None where it cannot be read.

    `others` is what other processes of this machine used of the trial's cores, `steal` what the hypervisor took of
    them, `throttled` what a CPU quota withheld of them; pressure is the waiting of our own control group, as far as
    others on the machine waited too. Two are no shares: `throttled_periods` are the periods of the quota that were used
    up, `energy_j` the joules of all CPU packages, where RAPL can be read.
    """

    others: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    steal: float | None = None
    throttled: float | None = None
    throttled_periods: int | None = None
    frequency_mhz: float | None = None
    energy_j: float | None = None


class Block(Struct):
    """One measured slice of time, summed over the workers; calls that straddle an edge count in part.

    `number` is the one that the workers' latencies bear. `unit` is what an item is: files say it, so that other kinds
    of work can be told apart. `disturbances` names what else went on while it was measured. `growth_bytes` is by how
    much a worker's memory grew in it a call; None where that was not read.
    """

    start_ns: int
    elapsed_ns: Annotated[int, msgspec.Meta(gt=0)]
    items: float
    calls: int
    cpu_ns: int
    number: int = 0
    unit: Literal["sample"] = "sample"
    canary: Canary | None = None
    interference: Interference | None = msgspec.field(default=None, name="surroundings")
    disturbances: tuple[str, ...] = msgspec.field(name="gates", default=())
    growth_bytes: float | None = None

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / self.elapsed_ns * 1e9


class Latency(Struct):
    """The latencies of all calls of the counted blocks: percentiles as they were seen.

    `backed` is the highest one that so many calls can claim; None where they are too few for any.
    """

    calls: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    backed: Percentile | None = None


class Probe(Struct):
    """Requests that arrived at a rate (a second) for some seconds: how many, and how many were over the limit.

    `latency_ms` is the percentile that is asked for, from arrival; `kept` says whether the limit was.
    """

    rate: float
    seconds: float
    requests: int
    over: int
    latency_ms: float
    kept: bool


class Served(Struct):
    """The largest rate of requests (a second) that kept its latency, found by probes; 0 where none did."""

    rate: float
    probes: tuple[Probe, ...]


class Sustained(Struct):
    """The outcome of requests that arrived at a rate for a claim, and what a trial keeps of the workers' start.

    `error` is why there is no probe: the workers failed.
    """

    probe: Probe | None = None
    error: str | None = None
    setup_s: float | None = None
    peak_rss_bytes: int | None = None
    fidelity: Fidelity | None = None
    accuracy: Accuracy | None = None
    versions: dict[str, str] = {}
    format: int = FORMAT


class Status(str, enum.Enum):  # noqa: UP042 - Python 3.10, which may run a worker, has no StrEnum
    """The end of a trial; all but `ok`, `rejected` and `interrupted` say that the configuration does not run."""

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
        """True if the trial has a rate that the sampler may learn."""
        return self in (Status.OK, Status.REJECTED)


class ArtifactRef(Struct):
    """A prepared model in the cache: its key, the digest of its content, what making it took (0 when cached)."""

    key: str
    sha256: str
    bytes: int
    prepare_s: float


class TrialResult(Struct):
    """The measurements of one trial: raw blocks, never a statistic, so that better statistics can be computed later.

    `repeated` are the blocks that were measured again, since they were disturbed; `checked_s` is what comparing the
    outputs and proving the settings took beyond the first call.
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
    checked_s: float | None = None
    setup_s: float | None = None
    wall_s: float = 0.0
    peak_rss_bytes: int | None = None
    fidelity: Fidelity | None = None
    accuracy: Accuracy | None = None
    latency: Latency | None = None
    served: Served | None = None
    error: str | None = None
    artifact: ArtifactRef | None = None
    versions: dict[str, str] = {}
    fingerprint: str = ""
    started: str = ""
    format: int = FORMAT


class Candidate(Struct):
    """One configuration in an interleaved run: a block for each round, fewer if it failed, and what a trial keeps, too.

    `latencies` are those of each block; None where no call had its middle in it.
    """

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
    accuracy: Accuracy | None = None
    latencies: tuple[Latency | None, ...] = ()
    artifact: ArtifactRef | None = None
    versions: dict[str, str] = {}


class InterleavedRun(Struct):
    """One start of several configurations, all alive and stopped but one, measured in rounds: raw, as in a trial.

    `start_s` is what went before the first round. `idle_share` of a candidate is the part of a core that it used while
    another was measured.
    """

    spec: InterleavedSpec
    candidates: dict[str, Candidate] = msgspec.field(name="seats")
    start_s: float
    wall_s: float
    started: str
    fingerprint: str
    format: int = FORMAT

    @property
    def round_s(self) -> float | None:
        """The seconds of a round; None where there was none."""
        rounds = max((len(candidate.blocks) for candidate in self.candidates.values()), default=0)
        return (self.wall_s - self.start_s) / rounds if rounds else None
