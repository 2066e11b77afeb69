"""The replay of whole runs (`benchmarks/whole_runs.py`, `recorded_executor.py`), on a made-up table."""

from __future__ import annotations

import math
import random
import statistics
import sys
from pathlib import Path

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.results import InterleavedRun, Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.space import configs
from autotune.study.storage import store

sys.path.append(str(Path(__file__).parents[1]))

import whole_runs
from recorded_executor import MACHINES, MachineKind, RecordedExecutor
from replay import Own

from benchmarks.tests.made_table import BLOCK_S, FAILED_S, HW, NOISE, PREPARE_S, START_S, TRIAL_S, answers, table

RULES = MeasureRules()
STEADY = Own("steady", table())
WRONG = Own("wrong", table(NOISE, wrong=lambda config: config.backend == "onnxruntime"))
WORKLOAD = STEADY.space.workload


def config(backend: str = "torch_eager", **knobs: str) -> Config:
    return configs.configure(HW, batch_size=1, backend=backend, options={}, knobs=knobs)


def executor(folder: Path, kind: MachineKind = MACHINES["recorded"], replay: Own = STEADY) -> RecordedExecutor:
    return RecordedExecutor(folder, replay, kind, random.Random(0))


def trial(machine: RecordedExecutor, chosen: Config, number: int = 0, limit_s: float | None = None) -> TrialResult:
    spec = TrialSpec(id=number, workload=WORKLOAD, config=chosen, folder=f"trials/{number:05}")
    return machine.execute(spec, msgspec.structs.replace(RULES, trial_timeout_s=limit_s), None)


def run(machine: RecordedExecutor, rounds: int = 2, number: int = 1, **chosen: Config) -> InterleavedRun:
    spec = InterleavedSpec(
        number=number, workload=WORKLOAD, configs=chosen, rounds=rounds, order="0", folder=f"confirmation/{number}"
    )
    found = machine.interleave(spec, RULES)
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "slower"), [("recorded", 1.0), ("slow", 2.0)])
def test_a_trial_takes_the_recorded_time_and_is_on_disk(tmp_path: Path, kind: str, slower: float) -> None:
    machine = executor(tmp_path, MACHINES[kind])
    result = trial(machine, config())
    assert result.wall_s == pytest.approx(machine.clock()) == pytest.approx(slower * TRIAL_S)
    assert result.blocks[0].rate == pytest.approx(10.2 / slower)
    assert machine.truth(config()) == pytest.approx(math.log(10.2 / slower))
    assert store.result(tmp_path, 0) == result


def test_an_artifact_is_prepared_once_whether_for_a_trial_or_a_candidate(tmp_path: Path) -> None:
    machine = executor(tmp_path)
    first, second = trial(machine, config("onnxruntime")), trial(machine, config("onnxruntime"), 1)
    assert first.wall_s - second.wall_s == pytest.approx(PREPARE_S)
    assert run(machine, a=config("onnxruntime"), b=config()).start_s < PREPARE_S


def test_what_failed_fails_again_in_its_time(tmp_path: Path) -> None:
    machine = executor(tmp_path)
    result = trial(machine, config(allocator="tcmalloc"))
    assert (result.status, result.wall_s) == (Status.CRASHED, FAILED_S)
    beside = run(machine, a=config(), b=config(allocator="tcmalloc"))
    assert beside.candidates["b"].error == "crashed" and not beside.candidates["b"].blocks
    assert len(beside.candidates["a"].blocks) == 2


def test_a_trial_that_has_no_time_left_is_interrupted(tmp_path: Path) -> None:
    result = trial(executor(tmp_path), config(), limit_s=START_S + 1.5 * BLOCK_S)
    assert result.status is Status.INTERRUPTED and len(result.blocks) == 2


def test_what_answered_wrongly_does_so_again(tmp_path: Path) -> None:
    machine = executor(tmp_path, replay=WRONG)
    fast = config("onnxruntime")
    result = trial(machine, fast)
    assert result.status is Status.OK and result.fidelity == answers(2.0)
    candidates = run(machine, a=config(), b=fast).candidates
    assert [candidates[name].fidelity for name in "ab"] == [answers(0.0), answers(2.0)]
    assert machine.truth(fast) is None
    assert machine.best == max(rate for place, rate in WRONG.rates.items() if ("backend", "torch_eager") in place)


def test_a_whole_run_exports_nothing_that_answers_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr(whole_runs, "load", lambda name: WRONG)
    found = whole_runs.whole_run(whole_runs.Task(space="made", machine="recorded", seed=1))
    assert found.last.regret == 0 and found.last.truth < math.exp(max(WRONG.rates.values()) - min(WRONG.rates.values()))


def test_what_runs_by_turns_starts_on_all_cores_at_once(tmp_path: Path) -> None:
    machine = executor(tmp_path)
    found = run(machine, rounds=3, a=config(), b=config("onnxruntime"), c=config("onnxruntime", allocator="tcmalloc"))
    cores = len(HW.allowed_cpus)
    start_s = max(START_S, 3 * START_S / cores) + PREPARE_S + 3 * BLOCK_S
    assert found.start_s == pytest.approx(start_s)
    assert found.wall_s == pytest.approx(start_s + 9 * BLOCK_S)


def test_noise_is_scaled_about_the_truth(tmp_path: Path) -> None:
    noisy = Own("noisy", table(NOISE))
    spread = {}
    for kind in ("recorded", "noisy"):
        machine = executor(tmp_path / kind, MACHINES[kind], noisy)
        blocks = run(machine, rounds=len(NOISE), a=config(), b=config()).candidates["a"].blocks
        spread[kind] = statistics.stdev(math.log(block.rate) for block in blocks)
    assert spread["noisy"] == pytest.approx(1.5 * spread["recorded"])


def test_a_seed_repeats_a_whole_run_and_its_end_is_what_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr(whole_runs, "load", lambda name: Own(name, table(NOISE)))
    task = whole_runs.Task(space="made", machine="recorded", seed=1)
    one, again = whole_runs.whole_run(task), whole_runs.whole_run(task)
    assert one == again and one != whole_runs.whole_run(msgspec.structs.replace(task, seed=2))
    assert one.claimed_s is not None and one.searched_s < one.claimed_s <= one.ended_s
    assert one.last.evidence == "confirmed" and one.last.holds
    assert next(figure.evidence for figure in one.figures) == "search"
