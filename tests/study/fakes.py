"""A machine, a space, an `execute` and a `sit` made by hand, so that a study can be tested without running a model."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna

from autotune.analysis import latency
from autotune.core.config import Config
from autotune.core.files import write_atomically
from autotune.core.machine import Cpu, Hardware
from autotune.core.results import Block, Candidate, InterleavedRun, Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Budget, Domains, Limit, Space
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.space import configs
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy, opened

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
    return configs.configure(hw, batch_size=batch_size, backend="torch_eager", options={}, knobs={})


def resolved(
    hw: Hardware,
    domains: Domains = DOMAINS,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> Space:
    """A space that is searched for so many trials or minutes."""
    workload = msgspec.structs.replace(WORKLOAD, seed=seed)
    budget = Budget(trials=trials, minutes=minutes)
    return Space(name="toy", workload=workload, domains=domains, baseline=plain(hw), budget=budget)


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


class Clock:
    """Time that passes only where it is made to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def steady(name: str, spec: InterleavedSpec) -> float:
    """A candidate's made-up speed, the same in every interleaved run."""
    return speed(spec.configs[name])


@dataclass
class Interleaver:
    """A `sit` that runs nothing: `behave` gives a candidate's rate, with seeded noise; it keeps what it was asked.

    `fails` says how many blocks a candidate makes before it fails, None where it does not. The run with the number
    `interrupt_at` of those asked for is interrupted. Each candidate takes its part of the clock's time. `latency_ms` is
    that of a configuration's call, counted over a block of ten calls.
    """

    root: Path
    behave: Callable[[str, InterleavedSpec], float] = steady
    noise: float = 0.01
    fails: Callable[[str, InterleavedSpec], int | None] = lambda name, spec: None
    interrupt_at: int | None = None
    idle_share: float = 0.0
    start_s: float = 1.0
    round_s: float = 0.5
    latency_ms: Callable[[Config, int], float] | None = None
    clock: Clock = field(default_factory=Clock)
    asked: list[InterleavedSpec] = field(default_factory=list)

    def __call__(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun:
        (self.root / spec.folder).mkdir(parents=True, exist_ok=True)
        self.asked.append(spec)
        if len(self.asked) == self.interrupt_at:
            raise KeyboardInterrupt
        start_s, round_s = self.start_s * len(spec.configs), self.round_s * len(spec.configs)
        rounds = 0
        while rounds < spec.rounds and start_s + rounds * round_s <= (spec.limit_s or math.inf):
            rounds += 1
        wall_s = start_s + rounds * round_s
        self.clock.now += wall_s
        candidates = {name: self._candidate(name, spec, rounds) for name in spec.configs}
        return InterleavedRun(
            spec=spec, candidates=candidates, start_s=start_s, wall_s=wall_s, started="", fingerprint=""
        )

    def _candidate(self, name: str, spec: InterleavedSpec, rounds: int) -> Candidate:
        (self.root / spec.folder / name).mkdir(exist_ok=True)
        noise = random.Random(f"{spec.folder}/{name}")
        fails_at = self.fails(name, spec)
        rate = self.behave(name, spec)
        rates = [rate * math.exp(noise.gauss(0, self.noise)) for _ in range(rounds)][:fails_at]
        if self.latency_ms is not None:
            calls = [self.latency_ms(spec.configs[name], call) for call in range(10)]
            rows = [(0, block, int(ms * 1e6), 1) for block in range(len(rates)) for ms in calls]
            np.save(self.root / spec.folder / name / latency.FILE, np.array(rows, dtype=np.int64))
        return Candidate(
            config=spec.configs[name],
            blocks=tuple(
                Block(number=i, start_ns=0, elapsed_ns=10**9, items=one, calls=1, cpu_ns=10**9)
                for i, one in enumerate(rates)
            ),
            error=None if fails_at is None else "a made-up crash",
            setup_s=self.start_s,
            peak_rss_bytes=2**28,
            idle_share=self.idle_share,
            versions={"toy": "1.0"} if fails_at is None else {},
        )


def at(rates: dict[Config, float]) -> Callable[[str, InterleavedSpec], float]:
    """How candidates run at these rates, those of other configurations at the first."""
    return lambda name, spec: rates.get(spec.configs[name], next(iter(rates.values())))


class Watcher:
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.over: list[TrialResult] = []
        self.parts: list[str] = []

    def waiting(self, holder: str) -> None:
        raise AssertionError("a study takes no machine itself")

    def started(self, spec: TrialSpec) -> None:
        self.begun.append(spec.id)

    def preparing(self, what: str) -> None:
        raise AssertionError("the search prepares nothing itself")

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        raise AssertionError("the search measures nothing itself")

    def ended(self, result: TrialResult) -> None:
        self.over.append(result)

    def confirming(self, what: str) -> None:
        self.parts.append(what)

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        raise AssertionError("a study sits nobody itself")


def in_memory(folder: Path, found: Space, hw: Hardware) -> OpenStudy:
    """A study whose storage is not on disk: ten times faster, for tests of the search's logic."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(direction="maximize")
    return OpenStudy(folder=folder, space=found, hardware=hw, optuna=study)


def searched(
    folder: Path,
    rates: dict[Config, float],
    minutes: float | None = 30.0,
    constraints: tuple[Limit, ...] = (),
    **fields: dict[Config, Any],
) -> OpenStudy:
    """A study whose search measured these at these rates; `fields` are those of the results, by configuration."""
    hw = machine()
    space = msgspec.structs.replace(resolved(hw, minutes=minutes), constraints=constraints)
    study = in_memory(folder, space, hw)
    for number, (config, rate) in enumerate(rates.items()):
        spec = TrialSpec(id=number, workload=WORKLOAD, config=config, folder=store.trial_folder(number))
        (folder / spec.folder).mkdir()
        given = {name: values[config] for name, values in fields.items() if config in values}
        store.write_result(folder, msgspec.structs.replace(measured(spec, rate), **given))
    return study


@contextlib.contextmanager
def on_disk(folder: Path, found: Space, hw: Hardware, url: str | None = None) -> Iterator[OpenStudy]:
    """A study as a user's command opens it."""
    with opened(folder, found, TEXT, hw, url) as study:
        yield study
