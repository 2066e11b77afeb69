"""An Executor whose interleaved runs are drawn from the simulated noise of a shared machine (`noise.py`)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autotune.core.executor import Executor
from autotune.core.results import Block, Candidate, InterleavedRun
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec
from tests.fake_hardware import machine
from tests.noise import LAUNCH_SD, Machine

START_S = 2.0
FINGERPRINT = machine().fingerprint


@dataclass
class SimulatedExecutor(Executor):
    """`logs` are the true log rates by candidate; the simulated machine's clock goes on while it measures."""

    root: Path
    machine: Machine
    logs: Mapping[str, float]

    def clock(self) -> float:
        return self.machine.now_s

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun:
        (self.root / spec.folder).mkdir(parents=True)
        begin = self.machine.now_s
        self.machine.wait(START_S * len(spec.configs))
        start_s = self.machine.now_s - begin
        launches = {
            name: self.logs[name.removesuffix("-again")] + self.machine.rng.normal(0, LAUNCH_SD)
            for name in spec.configs
        }
        blocks: dict[str, list[Block]] = {name: [] for name in spec.configs}
        for number in range(spec.rounds):
            order = list(spec.configs)
            random.Random(f"{spec.order}/{spec.number}/{number}").shuffle(order)
            for name in order:
                blocks[name].append(self.machine.block(launches[name]))
        return InterleavedRun(
            spec=spec,
            candidates={name: Candidate(config=spec.configs[name], blocks=tuple(blocks[name])) for name in blocks},
            start_s=start_s,
            wall_s=self.machine.now_s - begin,
            started="",
            fingerprint=FINGERPRINT,
        )
