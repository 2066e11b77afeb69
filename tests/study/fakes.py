"""A machine, a space and an `execute` made by hand, so that searching can be tested without running a model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import optuna

from autotune import space
from autotune.files import write_atomically
from autotune.results import Block, Status, TrialResult
from autotune.rules import MeasureRules
from autotune.study import store
from autotune.study.opening import OpenStudy, opened
from autotune.types import Budget, Config, Cpu, Domains, Hardware, InputSpec, Space, TrialSpec, WorkloadSpec

TEXT = "name: toy\n"
WORKLOAD = WorkloadSpec(model="torchvision:resnet18", inputs=(InputSpec(shape=("batch", 3, 32, 32)),))
LIBRARIES = {name: f"/usr/lib/lib{name}.so" for name in ("tcmalloc", "jemalloc")}
PACKAGES = dict.fromkeys(("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "openvino", "nncf"), "1.0")


def machine(cores: int = 2, architecture: str = "x86_64", isa: tuple[str, ...] = ("avx512f",)) -> Hardware:
    """A machine with every library and package that the spaces below name."""
    cpus = tuple(Cpu(id=i, core=i, socket=0, node=0) for i in range(cores))
    return Hardware(
        architecture=architecture,
        cpu_model="toy",
        isa=isa,
        cpus=cpus,
        allowed_cpus=tuple(range(cores)),
        memory_bytes=2**34,
        huge_page_mode="madvise",
        libraries=LIBRARIES,
        packages=PACKAGES,
        compiler="/usr/bin/g++",
    )


DOMAINS = Domains(
    batch_size=(1, 2, 4, 8, 16),
    knobs={"allocator": ("system", "tcmalloc", "jemalloc"), "layout": ("1x2", "2x1")},
    backends={
        "torch_eager": {"memory_format": ("contiguous", "channels_last")},
        "torch_compile": {"memory_format": ("contiguous", "channels_last"), "freezing": (False, True)},
        "onnxruntime": {"precision": ("float32",)},
        "openvino": {"precision": ("float32", "int8")},
    },
)

SMALL = Domains(
    batch_size=(1, 8), knobs={"allocator": ("system", "tcmalloc")}, backends={"torch_eager": {}, "onnxruntime": {}}
)


def plain(hw: Hardware, batch_size: int = 1) -> Config:
    """The baseline."""
    return space.configure(hw, batch_size=batch_size, backend="torch_eager", options={}, knobs={})


def resolved(hw: Hardware, domains: Domains = DOMAINS, *, trials: int | None = None, seed: int = 0) -> Space:
    """A space that is searched for so many trials."""
    workload = msgspec.structs.replace(WORKLOAD, seed=seed)
    return Space(name="toy", workload=workload, domains=domains, baseline=plain(hw), budget=Budget(trials=trials))


def speed(config: Config) -> float:
    """Samples per second of a made-up machine: backends differ most, settings multiply."""
    rate = {"torch_eager": 10.0, "torch_compile": 14.0, "onnxruntime": 20.0, "openvino": 22.0}[config.backend]
    rate *= {"int8": 3.0, "channels_last": 1.3}.get(str(config.options.get("precision")), 1.0)
    rate *= 1.3 if config.options.get("memory_format") == "channels_last" else 1.0
    rate *= 1.4 if config.options.get("freezing") else 1.0
    rate *= {"tcmalloc": 1.1, "jemalloc": 1.05}.get(str(config.knobs["allocator"]), 1.0)
    return rate * (1 + 0.02 * config.workload.batch_size)


def measured(
    spec: TrialSpec, rate: float, *, status: Status = Status.OK, feasible: bool = True, blocks: int = 2
) -> TrialResult:
    """A result with equal blocks."""
    block = Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9)
    return TrialResult(spec=spec, status=status, feasible=feasible, blocks=(block,) * blocks)


class Machine:
    """An `execute` that runs nothing: `behave` gives a rate, or the status of a failure; it keeps what it ran."""

    def __init__(self, root: Path, behave: Callable[[Config], float | Status] = speed) -> None:
        self.root = root
        self.behave = behave
        self.ran: list[TrialSpec] = []
        self.rules: list[MeasureRules] = []
        self.incumbents: list[float | None] = []

    def __call__(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        self.ran.append(spec)
        self.rules.append(rules)
        self.incumbents.append(incumbent)
        folder = self.root / spec.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "spec.json", store.encode(spec))
        found = self.behave(spec.config)
        if isinstance(found, Status):
            result = TrialResult(spec=spec, status=found, error=f"a made-up {found}")
        else:
            result = measured(spec, found)
        write_atomically(folder / "result.json", store.encode(result))
        return result

    @property
    def configs(self) -> list[Config]:
        """What was run, in order."""
        return [spec.config for spec in self.ran]


class Watcher:
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.over: list[TrialResult] = []

    def started(self, spec: TrialSpec) -> None:
        self.begun.append(spec.id)

    def preparing(self, what: str) -> None:
        raise AssertionError("the search prepares nothing itself")

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        raise AssertionError("the search measures nothing itself")

    def ended(self, result: TrialResult) -> None:
        self.over.append(result)


def in_memory(folder: Path, found: Space, hw: Hardware) -> OpenStudy:
    """A study whose storage is not on disk: ten times faster, for tests of the search's logic."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(direction="maximize")
    return OpenStudy(folder=folder, space=found, hardware=hw, optuna=study, url="sqlite://")


@contextlib.contextmanager
def on_disk(folder: Path, found: Space, hw: Hardware, url: str | None = None) -> Iterator[OpenStudy]:
    """A study as a user's command opens it."""
    with opened(folder, found, TEXT, hw, url) as study:
        yield study
