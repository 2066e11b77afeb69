"""A study of thousands of trials from a fixed seed, for what reads studies; nothing is run.

It has every kind of result with its raw blocks, canary and latencies, one trial in ten a failure, and a confirmation
from simulated interleaved runs.
"""

from __future__ import annotations

import datetime
import math
import random
from pathlib import Path

import msgspec
import numpy as np
import optuna

from autotune.analysis import latency as latencies
from autotune.core.answers import Fidelity
from autotune.core.config import Config
from autotune.core.executor import Executor
from autotune.core.files import write_array
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.results import (
    ArtifactRef,
    Block,
    Canary,
    Candidate,
    Interference,
    InterleavedRun,
    Latency,
    Status,
    TrialResult,
)
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import digest
from autotune.space import configs
from autotune.space.find import find
from autotune.space.load import load
from autotune.study.confirm import stage
from autotune.study.model import suggest
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy

SPACE = "resnet50-xeon"
SITTINGS = 8
GIVEN_UP = 0.2
"""A search proposes fewer bad configurations than chance does: so much of the best rate is enough to go on."""

SPEEDS = {"torch_compile": 1.5, "torch_aot": 1.6, "torch_int8": 1.3, "onnxruntime": 1.7, "openvino": 1.8}
PRECISIONS = {"bfloat16": 1.7, "int8": 2.1}
ALLOCATORS = {"tcmalloc": 1.06, "jemalloc": 1.04, "mimalloc": 1.02}
FAILURES = {
    Status.PREPARE_FAILED: "the export failed: torch._dynamo.exc.Unsupported: call_method <Tensor> 'item' & others",
    Status.CRASHED: "worker 0 ended by SIGSEGV; its stderr.log ends with: free(): invalid pointer",
    Status.OUT_OF_MEMORY: "the workers use 7.1 GiB; allowed are 6.8 GiB",
    Status.NOT_APPLIED: "allocator: libjemalloc.so.2 is not in /proc/self/maps",
    Status.WRONG_OUTPUT: "output 0 has 32 values that are NaN",
}


def make(folder: Path, hw: Hardware, trials: int, seed: int = 0) -> None:
    """A study of so many trials, searched at random, and its confirmation; the same for the same seed."""
    (folder / "trials").mkdir(parents=True)
    file = find(SPACE)
    found = msgspec.structs.replace(load(file, hw), budget=Budget(trials=trials))
    (folder / "space.yaml").write_bytes(file.read_bytes())
    (folder / "hardware.json").write_bytes(store.encode(hw))
    (folder / "domains.json").write_bytes(store.encode(found))
    machine, rng, seen = Simulated(folder, hw, seed), random.Random(seed), set[str]()
    best, number = 0.0, 0
    config: Config | None = found.baseline
    while number < trials and config is not None:
        seen.add(config.key)
        if configs.unavailable(config, hw) is None:
            spec = TrialSpec(id=number, workload=found.workload, config=config, folder=store.trial_folder(number))
            result = machine.execute(spec, MeasureRules(), best)
            best, number = max(best, speed(config, hw) if result.blocks else 0.0), number + 1
        config = next(suggest.untried(found.domains, hw, seen, rng), None)
    (folder / "elapsed.json").write_bytes(store.encode(store.Elapsed(elapsed_s=machine.now)))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = OpenStudy(folder=folder, space=found, hardware=hw, optuna=optuna.create_study())
    rules = msgspec.structs.replace(ConfirmRules(), most_runs=SITTINGS)
    stage.confirm(study, machine, Observer(), MeasureRules(), rules, clock=lambda: machine.now)


class Simulated(Executor):
    """A machine that runs nothing: speeds from a model, with drift, noise and failures from a seed."""

    def __init__(self, folder: Path, hw: Hardware, seed: int) -> None:
        self.folder = folder
        self.hw = hw
        self.noise = np.random.default_rng(seed)
        self.now = 1000.0

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        """Write a trial's result and latencies."""
        folder = self.folder / spec.folder
        folder.mkdir()
        (folder / "spec.json").write_bytes(store.encode(spec))
        failure, started, config = failed(spec.config), self._started(), spec.config
        self.now += 4.0
        if failure is not None:
            (folder / "stderr.log").write_text(f"Traceback (most recent call last):\n  ...\n{FAILURES[failure]}\n")
            result = TrialResult(spec=spec, status=failure, error=FAILURES[failure], wall_s=4.0, started=started)
        else:
            slow = speed(config, self.hw) < GIVEN_UP * (incumbent or 0.0)
            warmup, _ = self._blocks(config, 0, 2)
            blocks, calls = self._blocks(config, 2, 1 if slow else int(self.noise.integers(3, 13)))
            write_array(folder / latencies.FILE, calls)
            result = TrialResult(
                spec=spec,
                status=Status.REJECTED if slow else Status.OK,
                blocks=blocks,
                warmup=warmup,
                setup_s=2.5 + float(self.noise.random()),
                wall_s=9.0,
                peak_rss_bytes=memory_bytes(config),
                fidelity=fidelity(config),
                latency=latency(calls),
                artifact=artifact(config),
                versions=versions(config, self.hw),
                fingerprint=self.hw.fingerprint,
                started=started,
            )
        (folder / "result.json").write_bytes(store.encode(result))
        return result

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun:
        """What an interleaved run would leave behind."""
        begin, started = self.now, self._started()
        self.now += 4.0 * len(spec.configs)
        candidates = {}
        for name, config in spec.configs.items():
            (self.folder / spec.folder / name).mkdir(parents=True)
            warmup, _ = self._blocks(config, 0, 1)
            blocks, calls = self._blocks(config, 1, spec.rounds)
            write_array(self.folder / spec.folder / name / latencies.FILE, calls)
            candidates[name] = Candidate(
                config=config,
                blocks=blocks,
                warmup=warmup,
                setup_s=2.5,
                peak_rss_bytes=memory_bytes(config),
                idle_share=0.0,
                fidelity=fidelity(config),
                latencies=tuple(latency(calls[calls[:, 1] == block.number]) for block in blocks),
                artifact=artifact(config),
                versions=versions(config, self.hw),
            )
        return InterleavedRun(
            spec=spec,
            candidates=candidates,
            start_s=4.0 * len(candidates),
            wall_s=self.now - begin,
            started=started,
            fingerprint=self.hw.fingerprint,
        )

    def _blocks(self, config: Config, first: int, count: int) -> tuple[tuple[Block, ...], latencies.Rows]:
        """Blocks of half a second that follow the machine's drift, and their calls by worker."""
        blocks, rows = [], []
        workers, batch, cores = config.layout.workers, config.workload.batch_size, len(self.hw.cores)
        for number in range(first, first + count):
            usual = 1 + 0.08 * math.sin(self.now / 1500) + 0.04 * math.sin(self.now / 3)
            rate = speed(config, self.hw) * usual * math.exp(float(self.noise.normal(0, 0.01)))
            calls = max(1, round(rate * 0.5 / batch))
            call_ns = workers * batch / rate * 1e9
            ns = call_ns * np.exp(np.abs(self.noise.normal(0, 0.03, calls)))
            ranks = np.arange(calls) % workers
            rows.append(np.column_stack([ranks, np.full(calls, number), ns.astype(np.int64), np.ones(calls, np.int64)]))
            parts = usual * np.exp(self.noise.normal(0, 0.005, 3)) * (1400, 840, 1790)
            compute, memory, scalar = parts.tolist()
            blocks.append(
                Block(
                    number=number,
                    start_ns=int(self.now * 1e9),
                    elapsed_ns=500_000_000,
                    items=rate / 2,
                    calls=calls,
                    cpu_ns=int(0.5e9 * cores),
                    canary=Canary(cores=cores, compute=compute, memory=memory, scalar=scalar),
                    interference=Interference(others=0.001, cpu_pressure=0.0, memory_pressure=0.0, steal=0.0),
                )
            )
            self.now += 0.8
        return tuple(blocks), np.concatenate(rows)

    def _started(self) -> str:
        return datetime.datetime.fromtimestamp(1.8e9 + self.now, datetime.UTC).isoformat(timespec="seconds")


def speed(config: Config, hw: Hardware) -> float:
    """Samples a second: backends and precisions differ most, settings multiply, a little is each one's own."""
    layout = config.layout
    rate = 12.0 * SPEEDS.get(config.backend, 1.0) * ALLOCATORS.get(str(config.knobs["allocator"]), 1.0)
    rate *= PRECISIONS.get(str(config.options.get("precision")), 2.1 if config.backend == "torch_int8" else 1.0)
    rate *= (layout.workers * layout.threads) ** 0.9 * (1 + 0.04 * math.log2(config.workload.batch_size))
    own = random.Random(f"{config.key}/{hw.instance_type}").gauss(0, 0.1)
    return rate * math.exp(own)


def failed(config: Config) -> Status | None:
    """How a configuration fails, for one in ten; the plain model runs."""
    draw = random.Random(config.key)
    plain = config.backend == "torch_eager" and config.workload.batch_size == 1
    return None if plain or draw.random() > 0.1 else draw.choice(list(FAILURES))


def latency(calls: latencies.Rows) -> Latency | None:
    """The percentiles of these rows."""
    found = latencies.merge([calls])
    return None if found is None else found.summary()


def fidelity(config: Config) -> Fidelity:
    """What a precision does to the outputs."""
    error = {"bfloat16": 2e-3, "int8": 4e-2}.get(str(config.options.get("precision")), 1e-7)
    return Fidelity(
        judged=True,
        samples=8,
        cosine_similarity=1 - error / 2,
        centred_error=error,
        max_abs_error=30 * error,
        top1_agreement=1.0,
    )


def memory_bytes(config: Config) -> int:
    """Of all workers."""
    return config.layout.workers * (400 + 12 * config.workload.batch_size) * 2**20


def artifact(config: Config) -> ArtifactRef | None:
    """What is prepared for all backends but the plain one."""
    if config.backend == "torch_eager":
        return None
    key = digest([config.backend, config.options])
    return ArtifactRef(key=key[:16], sha256=key, bytes=100 * 2**20, prepare_s=0.0)


def versions(config: Config, hw: Hardware) -> dict[str, str]:
    """The runtime's."""
    package = config.backend if config.backend in hw.packages else "torch"
    return {"python": "3.12.3", package: hw.packages[package]}
