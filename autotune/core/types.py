"""The frozen nouns of autotune: the same structs describe YAML, the launched processes and the JSON files.

This module imports nothing from autotune. Every struct is immutable and refuses unknown fields; a file bears
`format`, so that an older one can be read and a newer one refused by name.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from typing import dataclass_transform
else:  # Python 3.10, which may run a worker, has none

    def dataclass_transform(**_: Any) -> Any:
        """For type checkers only."""
        return lambda kind: kind


FORMAT = 1
Value = bool | int | float | str
OWN = "own"
"""The interpreter that autotune itself runs in."""
Dtype = Literal["float32", "float64", "int32", "int64", "bool"]


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all data: immutable, strict, and to a type checker keyword-only."""


# ------------------------------------------------------------------------------------------------ the machine


class Cpu(Struct):
    """One logical CPU as the kernel numbers it; SMT siblings share `core` (unique over the machine)."""

    id: int
    core: int
    socket: int
    node: int


class Environment(Struct):
    """Another Python environment whose interpreter may run workers: its folder, its version, what it has installed."""

    prefix: str
    python: str
    packages: dict[str, str] = {}


class Hardware(Struct):
    """What a machine offers: its type (CPU, memory, instance), what we may use of it, and what is installed.

    Plugins decide from this alone whether they are available, so a recorded one can be planned for elsewhere.
    `environments` are by name; `numactl` is its path where this process may bind memory with it; `energy` says whether
    the energy counters of all CPU packages can be read.
    """

    architecture: str
    cpu_model: str
    isa: tuple[str, ...]
    cpus: tuple[Cpu, ...]
    allowed_cpus: tuple[int, ...]
    memory_bytes: int
    cpu_quota: float | None = None
    memory_limit_bytes: int | None = None
    caches: dict[str, int] = {}
    huge_page_mode: str | None = None
    glibc: str | None = None
    kernel: str = ""
    instance_type: str = ""
    libraries: dict[str, str] = {}
    packages: dict[str, str] = {}
    compiler: str | None = None
    numactl: str | None = None
    environments: dict[str, Environment] = {}
    energy: bool = False
    format: int = FORMAT

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def cores(self) -> tuple[Cpu, ...]:
        """One usable CPU per physical core, in node order, at most as many as the quota can keep busy."""
        first: dict[int, Cpu] = {}
        allowed = set(self.allowed_cpus)
        for cpu in sorted(self.cpus, key=lambda cpu: (cpu.node, cpu.socket, cpu.core, cpu.id)):
            if cpu.id in allowed:
                first.setdefault(cpu.core, cpu)
        usable = tuple(first.values())
        if self.cpu_quota is None:
            return usable
        return usable[: max(1, -int(-self.cpu_quota // 1))]

    def seen_by(self, interpreter: Value) -> Hardware:
        """The same machine with the packages that another environment has; KeyError if there is no such environment."""
        if interpreter == OWN:
            return self
        return msgspec.structs.replace(self, packages=self.environments[str(interpreter)].packages)

    @property
    def saturates(self) -> bool:
        """Whether 8-bit products are summed up in 16 bits: x86 without VNNI. There, one factor of int8 has 7 bits."""
        return self.architecture == "x86_64" and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(self.isa)

    @property
    def usable_memory_bytes(self) -> int:
        """The memory a trial may use: the smaller of the machine's and the cgroup's."""
        return min(self.memory_bytes, self.memory_limit_bytes or self.memory_bytes)

    @property
    def fingerprint(self) -> str:
        """12 hex digits that are equal on machines of the same type, whatever their host or free memory."""
        topology = sorted((cpu.socket, cpu.node, cpu.core, cpu.id) for cpu in self.cpus)
        kind = (
            self.architecture,
            self.cpu_model,
            sorted(self.isa),
            topology,
            list(self.allowed_cpus),
            self.cpu_quota,
            round(self.usable_memory_bytes / 2**30),
            self.instance_type,
        )
        return digest(kind)[:12]


# ----------------------------------------------------------------------------------------- a point in the space


class Layout(Struct):
    """Workers and threads per worker; written `2x1` wherever people or samplers see it."""

    workers: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> Layout:
        """`"2x1"` -> Layout; ValueError for anything else."""
        found = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text)
        if found is None:
            raise ValueError(f"a layout is written WORKERSxTHREADS, such as 2x1; got {text!r}")
        return cls(workers=int(found[1]), threads=int(found[2]))

    def __str__(self) -> str:
        return f"{self.workers}x{self.threads}"


class Placement(Struct):
    """Where one worker runs: the CPUs it is pinned to, its thread count, its NUMA node."""

    cpus: tuple[int, ...]
    threads: int
    node: int | None = None


class InputSpec(Struct):
    """One input; `batch` in the shape stands for the batch size, integers lie in [low, high)."""

    shape: tuple[int | Literal["batch"], ...]
    dtype: Dtype = "float32"
    low: int = 0
    high: int = 2


class DataSpec(Struct):
    """Labelled samples: a `.npz` file or a function (`file.py:function`), and the metric that judges outputs.

    `metric` is `accuracy`, `f1` or a function of the user's. At most `samples` rows are judged; `calibration` others
    are kept apart for quantising.
    """

    source: str
    metric: str = "accuracy"
    samples: int = 1000
    calibration: int = 64


class ServingSpec(Struct):
    """Requests that arrive by themselves: the latency that a percentile of them may have, counted from arrival.

    A batch waits at most `queue_delay_ms` for more requests.
    """

    latency_ms: float
    percentile: Literal["p50", "p90", "p95", "p99"] = "p99"
    queue_delay_ms: float = 0.0


class WorkloadSpec(Struct):
    """The model (`provider:name`), the provider's options, its inputs or data, and the seed of weights and inputs.

    With `serving`, trials also find the largest rate of requests that keeps its latency.
    """

    model: str
    inputs: tuple[InputSpec, ...]
    options: dict[str, Value | None] = {}
    seed: int = 0
    data: DataSpec | None = None
    serving: ServingSpec | None = None

    @property
    def provider(self) -> str:
        return self.model.partition(":")[0]

    @property
    def name(self) -> str:
        return self.model.partition(":")[2]


class WorkloadSettings(Struct):
    """The part of a configuration that shapes the work itself."""

    batch_size: int


class Config(Struct):
    """A point in the space, canonical: every option of its backend and every knob has a value."""

    workload: WorkloadSettings
    backend: str
    options: dict[str, Value]
    knobs: dict[str, Value]

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """A digest that is equal exactly when two configurations are."""
        return digest(self)

    @property
    def layout(self) -> Layout:
        return Layout.parse(str(self.knobs["layout"]))

    @property
    def interpreter(self) -> str:
        """The name of the environment whose Python runs the workers."""
        return str(self.knobs.get("interpreter", OWN))


# -------------------------------------------------------------------------------------------------- launching


class LaunchPatch(Struct):
    """What a knob or backend asks of a process: `{cache}` stands for the cache folder, None unsets."""

    env: dict[str, str | None] = {}
    preload: tuple[str, ...] = ()
    argv_prefix: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------- trials


class TrialSpec(Struct):
    """One configuration to measure; `folder` is relative to the study."""

    id: int
    workload: WorkloadSpec
    config: Config
    folder: str


class InterleavedSpec(Struct):
    """Configurations to start together and measure in turn, block by block, for so many rounds.

    `order` seeds the order within the rounds. Without `together` each is started and ended before the next. `folder` is
    relative to the study; `limit_s` is when no further round begins; `objective` is the figure that is compared.
    """

    number: int
    workload: WorkloadSpec
    configs: dict[str, Config]
    rounds: int
    order: str
    folder: str
    together: bool = True
    limit_s: float | None = None
    objective: str = "throughput"


def is_number(value: Value) -> bool:
    """Whether a value is a number, which has an order."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys) of any value that msgspec encodes."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
