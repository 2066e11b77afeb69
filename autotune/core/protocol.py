"""The messages between a coordinator and its child processes: one JSON object a line, over two pipes."""

from __future__ import annotations

from autotune.core.answers import Fidelity
from autotune.core.config import Config, Placement
from autotune.core.machine import Hardware
from autotune.core.results import Canary, Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.struct import Struct
from autotune.core.workload_spec import WorkloadSpec

ACCURACY = "accuracy.json"
"""The file that a preparing child writes where it was asked for an accuracy."""

ROWS = "rows.json"
"""The file beside reference outputs that tells of the workload's inputs (`Rows`)."""


class Rows(Struct):
    """How many different real rows a workload has, 0 where its inputs are made up."""

    different: int


FINDINGS = "findings.json"
"""The file beside reference outputs that says what the check of the model found."""


class PrepareJob(Struct, tag="prepare"):
    """Make an artifact in `folder`: the reference outputs (backend None) or a backend's model from `source`.

    Where `reference` names the reference's folder, it is the accuracy of the configuration, whose model is `source`.
    `key` is the artifact's.
    """

    key: str
    workload: WorkloadSpec
    hardware: Hardware
    rules: MeasureRules
    folder: str
    backend: str | None = None
    config: Config | None = None
    source: str | None = None
    reference: str | None = None


class MeasureJob(Struct, tag="measure"):
    """Load a configuration in each worker, prove that it took effect, then answer blocks."""

    spec: TrialSpec
    hardware: Hardware
    rules: MeasureRules
    placements: tuple[Placement, ...]
    folder: str
    reference: str | None
    artifact: str | None = None


class CanaryJob(Struct, tag="canary"):
    """Answer `Sense` with how fast the machine is right now."""


Job = PrepareJob | MeasureJob | CanaryJob


class Measure(Struct, tag="measure"):
    """Run the model from now on; count what falls between two instants of CLOCK_MONOTONIC, as block number `block`."""

    block: int
    start_ns: int
    stop_ns: int


class Serve(Struct, tag="serve"):
    """Answer the requests that arrive between two instants of CLOCK_MONOTONIC, `rate` a second over all workers.

    Their arrivals are those of `seed` and `probe`, the same in every worker, which answers its share of them. A batch
    waits at most `queue_delay_ns` for more requests.
    """

    probe: int
    start_ns: int
    stop_ns: int
    rate: float
    queue_delay_ns: int
    seed: int


class Finish(Struct, tag="finish"):
    """Write the latencies and end."""


class Sense(Struct, tag="sense"):
    """Run the canary's parts on these CPUs, one thread pinned to each, within so many seconds in all."""

    cpus: tuple[int, ...]
    seconds: float


Command = Measure | Serve | Finish | Sense


class Prepared(Struct, tag="prepared"):
    """The artifact is complete in its folder."""


class Ready(Struct, tag="ready"):
    """The model is loaded, verified and proven; `checked_s` is what the last two took beyond the first call."""

    load_s: float
    first_call_s: float
    checked_s: float
    fidelity: Fidelity | None
    versions: dict[str, str]


class Measured(Struct, tag="measured"):
    """One worker's share of a block; `growth_bytes` is by how much its memory grew a call, None without a call."""

    items: float
    calls: int
    cpu_ns: int
    growth_bytes: float | None = None


class Answered(Struct, tag="answered"):
    """One worker's share of the requests: latencies (ns) from arrival, in the order of arrival.

    The last `unanswered` of them still waited when the worker gave up; theirs is what they had waited by then.
    """

    latencies_ns: tuple[int, ...]
    unanswered: int


class Finished(Struct, tag="finished"):
    """The last word of a worker; `flags` are what its session has to say of the blocks."""

    peak_rss_bytes: int
    flags: tuple[str, ...] = ()


class Sensed(Struct, tag="sensed"):
    """The canary's answer."""

    canary: Canary


class Building(Struct, tag="building"):
    """The user's own code begins to run, and may wait for a network; with `done` it has returned. It is no answer."""

    done: bool = False


class Failed(Struct, tag="failed"):
    """The worker cannot go on; the traceback is in stderr.log. A full disk has its error's number and a path on it.

    `passing` is true where a file, a module or the network was lacking, which may be there the next time.
    """

    status: Status
    message: str
    errno: int | None = None
    path: str | None = None
    passing: bool = False


Reply = Prepared | Ready | Measured | Answered | Finished | Sensed | Failed
