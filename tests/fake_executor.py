"""The one fake machine: an Executor that runs nothing and answers at once, for tests of what uses one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune.analysis import latency
from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.executor import Checked
from autotune.core.files import write_atomically
from autotune.core.machine import Hardware
from autotune.core.results import Block, Candidate, InterleavedRun, Probe, Status, Sustained, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from autotune.study.storage import store
from tests.fake_hardware import machine


def speed(config: Config) -> float:
    """Samples per second of a made-up machine: backends differ most, settings multiply."""
    rate = {"torch_eager": 10.0, "torch_compile": 14.0, "onnxruntime": 20.0, "openvino": 22.0}[config.backend]
    rate *= {"int8": 3.0, "channels_last": 1.3}.get(str(config.options.get("precision")), 1.0)
    rate *= 1.3 if config.options.get("memory_format") == "channels_last" else 1.0
    rate *= 1.4 if config.options.get("freezing") else 1.0
    rate *= {"tcmalloc": 1.1, "jemalloc": 1.05}.get(str(config.knobs["allocator"]), 1.0)
    return rate * (1 + 0.02 * config.workload.batch_size)


def steady(name: str, spec: InterleavedSpec) -> float:
    """A candidate's made-up speed, the same in every interleaved run."""
    return speed(spec.configs[name])


def at(rates: dict[Config, float]) -> Callable[[str, InterleavedSpec], float]:
    """Candidates at these rates, those of other configurations at the first."""
    return lambda name, spec: rates.get(spec.configs[name], next(iter(rates.values())))


def measured(
    spec: TrialSpec, rate: float, *, status: Status = Status.OK, feasible: bool = True, blocks: int = 2
) -> TrialResult:
    """A result with equal blocks."""
    block = Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9)
    return TrialResult(spec=spec, status=status, feasible=feasible, blocks=(block,) * blocks)


class Clock:
    """Time that passes only where it is made to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeExecutor:
    """Answers from functions instead of measurements, and keeps what it was asked.

    Trials: `behave` gives a configuration's rate, or the status of its failure.

    Interleaved runs: `candidate` gives a candidate's rate, with seeded noise; each candidate takes its part of the
    clock's time. `fails` says how many blocks a candidate makes before it fails, None where it does not. `latency_ms`
    is that of a configuration's call, counted over a block of ten calls. The run with the number `interrupt_run` of
    those asked for is interrupted.

    Rates of requests: `serves` holds the largest that each configuration keeps (others fail), `shows` the further
    fields of its Sustained. The request with the number `interrupt_request` is interrupted.

    Runs bear the fingerprint and the versions of `hardware`. `before` is called before a trial or an interleaved run,
    for tests that interrupt or look at things there.
    """

    root: Path = Path("nowhere")
    hardware: Hardware = field(default_factory=machine, kw_only=True)
    behave: Callable[[Config], float | Status] = speed
    candidate: Callable[[str, InterleavedSpec], float] = steady
    noise: float = 0.01
    fails: Callable[[str, InterleavedSpec], int | None] = lambda name, spec: None
    interrupt_run: int | None = None
    idle_share: float = 0.0
    start_s: float = 1.0
    round_s: float = 0.5
    latency_ms: Callable[[Config, int], float] | None = None
    serves: Mapping[Config, float] = field(default_factory=dict)
    shows: Mapping[Config, Mapping[str, Any]] = field(default_factory=dict)
    interrupt_request: int | None = None
    before: Callable[[Any, MeasureRules], None] = lambda spec, rules: None
    clock: Clock = field(default_factory=Clock)
    found: Checked = field(default_factory=Checked)
    checked: list[WorkloadSpec] = field(default_factory=list)
    trials: list[TrialSpec] = field(default_factory=list)
    rules: list[MeasureRules] = field(default_factory=list)
    incumbents: list[float | None] = field(default_factory=list)
    runs: list[InterleavedSpec] = field(default_factory=list)
    requests: list[tuple[Config, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def configs(self) -> list[Config]:
        """The configurations of the trials, in order."""
        return [spec.config for spec in self.trials]

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> Checked:
        self.checked.append(workload)
        return self.found

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        self.before(spec, rules)
        self.trials.append(spec)
        self.rules.append(rules)
        self.incumbents.append(incumbent)
        folder = self.root / spec.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "spec.json", store.encode(spec))
        rate = self.behave(spec.config)
        if isinstance(rate, Status):
            result = TrialResult(spec=spec, status=rate, error=f"a made-up {rate}")
        else:
            result = measured(spec, rate)
        write_atomically(folder / "result.json", store.encode(result))
        return result

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun | None:
        self.before(spec, rules)
        (self.root / spec.folder).mkdir(parents=True, exist_ok=True)
        self.runs.append(spec)
        if len(self.runs) == self.interrupt_run:
            raise KeyboardInterrupt
        start_s, round_s = self.start_s * len(spec.configs), self.round_s * len(spec.configs)
        rounds = 0
        while rounds < spec.rounds and start_s + rounds * round_s <= (spec.limit_s or math.inf):
            rounds += 1
        wall_s = start_s + rounds * round_s
        self.clock.now += wall_s
        candidates = {name: self._candidate(name, spec, rounds) for name in spec.configs}
        return InterleavedRun(
            spec=spec,
            candidates=candidates,
            start_s=start_s,
            wall_s=wall_s,
            started="",
            fingerprint=self.hardware.fingerprint,
        )

    def sustain(self, spec: TrialSpec, rules: MeasureRules, rate: float, seconds: float) -> Sustained:
        self.requests.append((spec.config, rate))
        self.seconds.append(seconds)
        if len(self.requests) == self.interrupt_request:
            raise KeyboardInterrupt
        self.clock.now += seconds + 5
        if spec.config not in self.serves:
            return Sustained(error="it broke")
        kept = rate <= self.serves[spec.config]
        probe = Probe(rate=rate, seconds=seconds, requests=100, over=0, latency_ms=50.0, kept=kept)
        return msgspec.structs.replace(
            Sustained(probe=probe, versions=self._versions(spec.config)), **self.shows.get(spec.config, {})
        )

    def _candidate(self, name: str, spec: InterleavedSpec, rounds: int) -> Candidate:
        (self.root / spec.folder / name).mkdir(exist_ok=True)
        noise = random.Random(f"{spec.order}/{spec.number}/{name}")
        fails_at = self.fails(name, spec)
        rate = self.candidate(name, spec)
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
            versions=self._versions(spec.configs[name]) if fails_at is None else {},
        )

    def _versions(self, config: Config) -> dict[str, str]:
        backend: Any = plugins.load("backends", config.backend)
        return {name: self.hardware.packages[name] for name in backend.packages}
