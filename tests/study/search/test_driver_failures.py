from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from autotune.core.config import Config
from autotune.core.errors import StudyError
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.study.search import driver, recipes
from autotune.study.search.driver import search
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor
from tests.study.fakes import DOMAINS, SMALL, Watcher, in_memory, on_disk, plain, resolved
from tests.study.search.searching import HW, RULES, run


def test_a_baseline_that_the_machine_cannot_honour_ends_the_search(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL), msgspec.structs.replace(HW, packages={}))
    with pytest.raises(StudyError, match="the baseline cannot run on this machine: torch_eager: torch not installed"):
        search(study, FakeExecutor(tmp_path), Watcher(), RULES)


def test_a_failed_baseline_ends_the_search_and_is_tried_again(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL, trials=4), HW)
    broken = FakeExecutor(tmp_path, lambda config: Status.CRASHED)
    with pytest.raises(StudyError, match=r"baseline failed \(crashed: a made-up crashed\).*trials/00000/stderr\.log"):
        search(study, broken, Watcher(), RULES)
    assert len(broken.trials) == 1
    mended = FakeExecutor(tmp_path)
    assert search(study, mended, Watcher(), RULES).trials == 4
    assert mended.configs[0] == plain(HW)
    assert len(mended.trials) == 4


def test_a_baseline_is_never_held_against_faster_trials(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL, trials=3), HW)
    search(study, FakeExecutor(tmp_path), Watcher(), RULES)
    (tmp_path / "trials" / "00000" / "result.json").unlink()
    again = FakeExecutor(tmp_path)
    search(study, again, Watcher(), RULES)
    assert (again.configs, again.incumbents) == ([plain(HW)], [None])


def test_ten_failures_and_no_success_end_the_search_with_the_commonest(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=60), HW)

    def behave(config: Config) -> float | Status:
        if config == plain(HW):
            return 5.0
        return Status.TIMEOUT if config.backend == "openvino" else Status.OUT_OF_MEMORY

    ran = FakeExecutor(tmp_path, behave)
    with pytest.raises(
        StudyError, match=r"all 10 trials after the baseline failed, \d+ of them so: out of memory: a m"
    ):
        search(study, ran, Watcher(), RULES)
    assert len(ran.trials) == 1 + driver.HOPELESS


def test_one_success_lets_the_search_go_on(tmp_path: Path) -> None:
    good = {plain(HW).key, plain(HW, 16).key}
    fast = msgspec.structs.replace(resolved(HW, trials=25), domains=DOMAINS)
    first = recipes.first(fast, HW)[1].key
    ran = run(tmp_path, fast, lambda config: 5.0 if config.key in good | {first} else Status.CRASHED)
    assert len(ran.trials) == 25


def test_a_full_disk_ends_the_search_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    executor = FakeExecutor(folder)

    def full(spec: TrialSpec, rules: MeasureRules) -> None:
        if len(executor.trials) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / spec.folder / "result.json"))

    executor.before = full

    with (
        pytest.raises(StudyError, match=r"no space left for .*/result\.json; free some and run the same command again"),
        on_disk(folder, resolved(HW, trials=5), HW) as study,
    ):
        search(study, executor, Watcher(), RULES)
    assert len(store.results(folder)) == 3
    with on_disk(folder, resolved(HW, trials=5), HW) as study:
        again = FakeExecutor(folder)
        assert search(study, again, Watcher(), RULES).trials == 5
        assert len(again.trials) == 2


def test_a_disk_that_fills_between_result_and_storage_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    with on_disk(folder, resolved(HW, trials=5), HW) as study:
        with monkeypatch.context() as patch:
            fill(study, patch)
            with pytest.raises(StudyError, match=r"no space left for .*study\.db"):
                search(study, FakeExecutor(folder), Watcher(), RULES)
        assert len(store.results(folder)) == 1
        assert [trial.state for trial in study.optuna.trials] == [TrialState.RUNNING]
        again = FakeExecutor(folder)
        assert search(study, again, Watcher(), RULES).trials == 5
        assert len(again.trials) == 4
        assert study.optuna.trials[0].state is TrialState.COMPLETE


def fill(study: OpenStudy, patch: pytest.MonkeyPatch) -> None:
    """Let the disk be full whenever the database is told the end of a trial."""
    database: Any = study.optuna._storage._backend  # type: ignore[attr-defined]
    keep = database.set_trial_state_values

    def full(trial: int, state: TrialState, values: object = None) -> bool:
        if state.is_finished():
            raise optuna.exceptions.StorageInternalError("during the commit") from Exception("database or disk is full")
        return bool(keep(trial, state, values))

    patch.setattr(database, "set_trial_state_values", full)
