"""The confirmation as it is shipped, stopping and choosing included, on the simulated noise of a shared machine."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from autotune.core.executor import Executor
from autotune.core.results import Candidate, InterleavedRun, TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Goal
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import comparison, decision
from autotune.study.confirm.aggregate import Limits
from autotune.study.confirm.comparison import PairedComparison
from autotune.study.confirm.decision import BASELINE, Chosen, Running
from tests.noise import LAUNCH_SD, Machine
from tests.report.made import PLAIN, config, result
from tests.study.fakes import WORKLOAD

RULES = ConfirmRules()
ANY = Limits(Path(), Goal(), RULES.confidence)
START_S = 2.0
SECONDS = 240.0
RUNS = 40
FINALISTS: dict[str, TrialResult] = {
    "trial-1": result(1, config(batch_size=2), rates=(10, 10)),
    "trial-2": result(2, config(batch_size=4), rates=(10, 10)),
    BASELINE: result(0, PLAIN, rates=(10, 10)),
}


@dataclass
class Simulated(Executor):
    """Interleaved runs on the simulated machine, whose clock goes on meanwhile; `logs` are the true log rates."""

    root: Path
    machine: Machine
    logs: Mapping[str, float]

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun:
        return interleaved(self.root, self.machine, self.logs, spec)


def interleaved(root: Path, machine: Machine, logs: Mapping[str, float], spec: InterleavedSpec) -> InterleavedRun:
    (root / spec.folder).mkdir(parents=True)
    begin = machine.now_s
    machine.wait(START_S * len(spec.configs))
    start_s = machine.now_s - begin
    started = {name: logs[name.removesuffix("-again")] + machine.rng.normal(0, LAUNCH_SD) for name in spec.configs}
    candidates = {name: Candidate(config=found) for name, found in spec.configs.items()}
    blocks: dict[str, list] = {name: [] for name in candidates}
    for number in range(spec.rounds):
        order = list(candidates)
        random.Random(f"{spec.order}/{spec.number}/{number}").shuffle(order)
        for name in order:
            blocks[name].append(machine.block(started[name]))
    candidates = {name: Candidate(config=spec.configs[name], blocks=tuple(blocks[name])) for name in candidates}
    wall_s = machine.now_s - begin
    return InterleavedRun(spec=spec, candidates=candidates, start_s=start_s, wall_s=wall_s, started="", fingerprint="")


def confirmed(folder: Path, seed: int, **gains: float) -> Chosen:
    """What is chosen on a machine of its own; `gains` are log ratios over the baseline."""
    logs = {BASELINE: 3.0} | {name.replace("_", "-"): 3.0 + gain for name, gain in gains.items()}
    machine = Machine(seed, seconds=2 * SECONDS)
    wanted = PairedComparison(str(seed), folder, WORKLOAD, decision.configs_by_name(FINALISTS), MeasureRules(), RULES)
    run = Simulated(folder, machine, logs)
    runs = comparison.run(wanted, run, Running(FINALISTS, RULES, ANY), SECONDS, SECONDS, True, lambda: machine.now_s)
    return decision.choose(runs, FINALISTS, PLAIN, RULES, ANY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where interleaved runs are kept; nothing here depends on their reaching the disk."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    return tmp_path


def test_equal_configurations_are_seldom_called_a_gain(folder: Path) -> None:
    found = [confirmed(folder, seed, trial_1=0.0, trial_2=0.0) for seed in range(RUNS)]
    assert all(one.reason is None for one in found)
    assert sum(one.gain for one in found) / len(found) <= 0.05


def test_a_large_gain_is_claimed_and_its_interval_holds(folder: Path) -> None:
    truth = math.log(1.3)
    found = [confirmed(folder, seed, trial_1=0.05, trial_2=truth) for seed in range(RUNS)]
    assert sum(one.gain and one.name == "trial-2" for one in found) / len(found) >= 0.95
    claims = [one.rates.difference("trial-2", BASELINE) for one in found]
    held = sum((one.low or 0) <= truth <= (one.high or 0) for one in claims)
    assert held / len(found) >= 0.85  # 95 % less two standard errors of so few runs, and of stopping when it is settled
