from __future__ import annotations

import dataclasses
import json
import signal
import time
from pathlib import Path

import msgspec
import psutil
import pytest
from optuna.trial import TrialState

from autotune.core.config import Config
from autotune.core.errors import StudyError
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.study.search import ask_tell, recovery
from autotune.study.search.driver import search
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.conftest import ended
from tests.fake_executor import FakeExecutor, measured
from tests.study import coordinator
from tests.study.fakes import SMALL, WORKLOAD, Watcher, in_memory, machine, on_disk, plain, resolved

HW = machine()
SPACE = resolved(HW, SMALL, trials=6)
RULES = MeasureRules()


def begin(study: OpenStudy, config: Config) -> TrialSpec:
    """A trial that was asked for and has its spec, as a killed coordinator leaves it."""
    trial, config = ask_tell.ask(study.optuna, study.space.domains, HW, config)
    spec = TrialSpec(id=trial.number, workload=WORKLOAD, config=config, folder=store.trial_folder(trial.number))
    (study.folder / spec.folder).mkdir(parents=True)
    (study.folder / spec.folder / "spec.json").write_bytes(store.encode(spec))
    return spec


def test_a_result_that_was_written_but_not_told_is_told(tmp_path: Path) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    spec = begin(study, plain(HW))
    store.write_result(tmp_path, measured(spec, 12.0))
    recovery.recover(study)
    (trial,) = study.optuna.trials
    assert trial.state is TrialState.COMPLETE
    assert trial.value == pytest.approx(12.0)
    assert trial.user_attrs["status"] == "ok"
    machine = FakeExecutor(tmp_path)
    search(study, machine, Watcher(), RULES)
    assert plain(HW) not in machine.configs
    assert len(store.results(tmp_path)) == 6


def test_a_storage_with_other_values_of_a_setting_is_refused(tmp_path: Path) -> None:
    """As where another space was searched under this name: Optuna would refuse the first trial that differs."""
    wider = msgspec.structs.replace(SMALL, batch_size=(*SMALL.batch_size, 32))
    with on_disk(tmp_path, SPACE, HW) as study:
        study.optuna.ask().suggest_categorical("batch_size", SMALL.batch_size)
        recovery.recover(study)
        other = dataclasses.replace(study, space=resolved(HW, wider))
        with pytest.raises(
            StudyError, match=r"has batch_size with the values \[1, 8\], the study with \[1, 8, 32\], .*"
        ):
            recovery.recover(other)


def test_a_trial_that_was_cut_short_is_measured_again_right_after_the_baseline(tmp_path: Path) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    config = plain(HW, 8)
    begin(study, config)
    machine = FakeExecutor(tmp_path)
    outcome = search(study, machine, Watcher(), RULES)
    assert machine.configs[:2] == [plain(HW), config]
    first = store.result(tmp_path, 0)
    assert first is not None and (first.status, first.error) == (Status.INTERRUPTED, recovery.KILLED)
    assert study.optuna.trials[0].state is TrialState.FAIL
    assert outcome.trials == 6


def test_a_trial_without_even_a_spec_is_forgotten(tmp_path: Path) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    study.optuna.ask()
    (tmp_path / "trials" / "00000").mkdir()
    recovery.recover(study)
    assert study.optuna.trials[0].state is TrialState.FAIL
    assert store.results(tmp_path) == []


def test_what_kills_the_coordinator_twice_is_not_tried_again(tmp_path: Path) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    for config in (plain(HW), plain(HW, 8)):
        for _ in range(2):
            begin(study, config)
            recovery.recover(study)
    statuses = [result.status for result in store.results(tmp_path)]
    assert statuses == [Status.INTERRUPTED, Status.INTERRUPTED, Status.INTERRUPTED, Status.CRASHED]
    assert study.optuna.trials[-1].constraints == {"runs": 1.0}
    machine = FakeExecutor(tmp_path)
    search(study, machine, Watcher(), RULES)
    assert machine.configs[0] == plain(HW)
    assert plain(HW, 8) not in machine.configs


def test_recovering_twice_changes_nothing(tmp_path: Path) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    begin(study, plain(HW))
    recovery.recover(study)
    before = (store.results(tmp_path), study.optuna.trials)
    recovery.recover(study)
    assert (store.results(tmp_path), study.optuna.trials) == before


def test_a_new_database_is_told_all_results_under_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    crashing = lambda config: Status.CRASHED if config.backend == "onnxruntime" else 5.0 + config.workload.batch_size  # noqa: E731
    with on_disk(folder, SPACE, HW) as study:
        search(study, FakeExecutor(folder, crashing), Watcher(), RULES)
        before = {trial.number: trial for trial in study.optuna.trials if "status" in trial.user_attrs}
    for path in folder.glob("study.db*"):
        path.unlink()
    with on_disk(folder, SPACE, HW) as study:
        recovery.recover(study)
        after = {trial.number: trial for trial in study.optuna.trials if "status" in trial.user_attrs}
        assert after.keys() == before.keys() == {result.spec.id for result in store.results(folder)}
        for number, trial in after.items():
            old = before[number]
            old.user_attrs.pop("gain", None)  # what the sampler expected then is no result
            assert (trial.state, trial.value, trial.params, trial.user_attrs, trial.constraints) == (
                old.state,
                old.value,
                old.params,
                old.user_attrs,
                old.constraints,
            )
    larger = resolved(HW, SMALL, trials=8)
    with on_disk(folder, larger, HW) as study:
        machine = FakeExecutor(folder)
        assert search(study, machine, Watcher(), RULES).trials == 8
        assert len(machine.trials) == 2
        assert not {spec.id for spec in machine.trials} & before.keys()


def test_a_study_goes_on_after_kill_9_to_the_original_total(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    process = coordinator.start(folder, "hang", 6)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "trials" / "hanging").exists():
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (record,) = folder.glob("trials/*/processes.json")
    (worker,) = json.loads(record.read_bytes())
    assert psutil.pid_exists(worker["pid"])
    killed = [number for number in store.numbers(folder) if store.result(folder, number) is None]
    assert len(killed) == 1 and len(store.results(folder)) == coordinator.HANGS_AT - 1
    spec = store.spec(folder, killed[0])
    assert spec is not None

    again = coordinator.start(folder, "finish", 6)
    assert (again.communicate()[1], again.returncode) == (b"", 0)
    assert ended(worker["pid"])
    assert not record.exists()
    results = store.results(folder)
    settled = [result for result in results if result.status is not Status.INTERRUPTED]
    assert len(settled) == len({result.spec.config.key for result in settled}) == 6
    assert spec.config in [result.spec.config for result in settled]

    third = coordinator.start(folder, "finish", 6)
    assert (third.communicate()[1], third.returncode) == (b"", 0)
    assert store.results(folder) == results


def test_a_bug_that_a_configuration_meets_is_not_met_again(tmp_path: Path) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    executor = FakeExecutor(tmp_path)

    def before(spec: TrialSpec, rules: MeasureRules) -> None:
        if len(executor.trials) == 2:
            (tmp_path / spec.folder).mkdir(parents=True)
            raise RuntimeError("not foreseen")

    executor.before = before
    with pytest.raises(RuntimeError):
        search(study, executor, Watcher(), RULES)
    last = store.results(tmp_path)[-1]
    assert (last.status, last.error) == (Status.CRASHED, "RuntimeError: not foreseen")
    again = FakeExecutor(tmp_path)
    assert search(study, again, Watcher(), RULES).trials == 6
    assert last.spec.config not in again.configs


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, OSError])
def test_an_interruption_leaves_the_study_in_order(tmp_path: Path, interruption: type[BaseException]) -> None:
    study = in_memory(tmp_path, SPACE, HW)
    executor = FakeExecutor(tmp_path)
    ends_in: list[Config] = []

    def before(spec: TrialSpec, rules: MeasureRules) -> None:
        if len(executor.trials) == 2:
            (tmp_path / spec.folder).mkdir(parents=True)
            (tmp_path / spec.folder / "spec.json").write_bytes(store.encode(spec))
            ends_in.append(spec.config)
            raise interruption

    executor.before = before
    watcher = Watcher()
    with pytest.raises(interruption):
        search(study, executor, watcher, RULES)
    assert all(trial.state.is_finished() for trial in study.optuna.trials)
    last = store.results(tmp_path)[-1]
    assert (last.status, last.error) == (Status.INTERRUPTED, f"ended by {interruption.__name__}")
    assert len(watcher.over) == 2
    again = FakeExecutor(tmp_path)
    assert search(study, again, Watcher(), RULES).trials == 6
    assert again.configs[0] == ends_in[0]
    assert len(again.trials) == 4
