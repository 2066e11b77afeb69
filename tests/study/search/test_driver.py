from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from functools import partial
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
from autotune.core.space_types import Domains, Space
from autotune.core.specs import TrialSpec
from autotune.study.search import driver, recipes, samplers, suggest
from autotune.study.search.driver import search
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import Clock, FakeExecutor, speed
from tests.study.fakes import (
    DOMAINS,
    SMALL,
    Watcher,
    in_memory,
    machine,
    on_disk,
    plain,
    resolved,
)

HW = machine()
RULES = MeasureRules()


def run(folder: Path, space: Space, behave: Callable[[Config], float | Status] = speed) -> FakeExecutor:
    ran = FakeExecutor(folder, behave)
    search(in_memory(folder, space, HW), ran, Watcher(), RULES)
    return ran


def test_the_baseline_and_the_recipes_come_first(tmp_path: Path) -> None:
    space = resolved(HW, trials=9)
    ran = run(tmp_path, space)
    advised = list(recipes.first(space, HW))
    assert ran.configs[: len(advised)] == advised
    assert len(ran.trials) == 9
    assert ran.incumbents[:2] == [None, pytest.approx(speed(plain(HW)))]
    assert ran.incumbents[-1] == pytest.approx(max(speed(config) for config in ran.configs[:-1]))


def test_a_trial_is_written_observed_and_told(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=3), HW)
    ran, watcher = FakeExecutor(tmp_path), Watcher()
    outcome = search(study, ran, watcher, RULES)
    assert outcome == Outcome(reason="trials", trials=3, failed=0, elapsed_s=outcome.elapsed_s)
    assert [spec.folder for spec in ran.trials] == ["trials/00000", "trials/00001", "trials/00002"]
    assert watcher.begun == [0, 1, 2]
    assert watcher.over == store.results(tmp_path)
    assert [trial.value for trial in study.optuna.trials] == pytest.approx([speed(config) for config in ran.configs])


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_measured_twice_and_the_best_is_found(tmp_path: Path, seed: int) -> None:
    ran = run(tmp_path, resolved(HW, trials=60, seed=seed))
    assert len(ran.trials) == len({config.key for config in ran.configs}) == 60
    everything = [speed(config) for config in suggest.untried(DOMAINS, HW, (), random.Random(0))]
    assert max(map(speed, ran.configs)) >= 0.95 * max(everything)


def test_a_crash_is_avoided_without_being_told_twice(tmp_path: Path) -> None:
    def crashing(config: Config) -> float | Status:
        pair = config.backend == "openvino" and config.knobs["allocator"] == "tcmalloc"
        return Status.CRASHED if pair else speed(config)

    counts = []
    for seed in range(3):
        ran = run(tmp_path / str(seed), resolved(HW, trials=60, seed=seed), crashing)
        counts.append(sum(crashing(config) is Status.CRASHED for config in ran.configs))
    assert max(counts) <= 9  # of 20 such configurations among 270


def test_repeats_are_neither_run_nor_counted_nor_learned(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL, trials=6), HW)
    ran = FakeExecutor(tmp_path)
    search(study, ran, Watcher(), RULES, make_sampler=lambda *_: First())
    numbers = {spec.id for spec in ran.trials}
    repeats = [trial for trial in study.optuna.trials if trial.number not in numbers]
    assert len(ran.trials) == 6
    assert repeats and all(trial.state is TrialState.FAIL for trial in repeats)
    assert all(trial.user_attrs["repeat_of"] in numbers for trial in repeats)
    gaps = [later - earlier - 1 for earlier, later in zip(sorted(numbers), sorted(numbers)[1:], strict=False)]
    assert set(gaps) <= {0, driver.REPEATS}
    assert driver.REPEATS in gaps


class First(optuna.samplers.BaseSampler):
    """Always the first value of everything."""

    def infer_relative_search_space(self, *_: object) -> dict[str, optuna.distributions.BaseDistribution]:
        return {}

    def sample_relative(self, *_: object) -> dict[str, object]:
        return {}

    def sample_independent(
        self, study: object, trial: object, name: str, distribution: optuna.distributions.BaseDistribution
    ) -> object:
        assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
        return distribution.choices[0]


def test_a_space_is_searched_to_its_end(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL), HW)
    ran = FakeExecutor(tmp_path)
    outcome = search(study, ran, Watcher(), RULES)
    assert (outcome.reason, outcome.trials) == ("exhausted", suggest.count(SMALL))
    assert len({config.key for config in ran.configs}) == len(ran.trials) == 8
    again = FakeExecutor(tmp_path)
    assert search(study, again, Watcher(), RULES).reason == "exhausted"
    assert again.trials == []


def test_without_a_budget_the_search_ends_when_nothing_more_is_to_be_expected(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW), HW)
    ran = FakeExecutor(tmp_path)
    outcome = search(study, ran, Watcher(), RULES)
    everything = [speed(config) for config in suggest.untried(DOMAINS, HW, (), random.Random(0))]
    assert outcome.reason == "settled"
    assert len(ran.trials) < 0.5 * suggest.count(DOMAINS)
    assert max(map(speed, ran.configs)) >= 0.97 * max(everything)
    assert store.numbers(tmp_path) == [spec.id for spec in ran.trials]
    again = FakeExecutor(tmp_path)
    assert search(study, again, Watcher(), RULES).reason == "settled"
    assert again.trials == []


@pytest.mark.parametrize("name", ["surrogate", "random"])
def test_without_a_budget_what_finds_nothing_better_ends(tmp_path: Path, name: str) -> None:
    """No other trial works, and a random search never says what it expects."""
    study = in_memory(tmp_path, resolved(HW), HW)
    works = {plain(HW).key, recipes.first(study.space, HW)[1].key}
    ran = FakeExecutor(tmp_path, lambda config: 5.0 if config.key in works else Status.CRASHED)
    make = partial(samplers.make, name)
    outcome = search(study, ran, Watcher(), RULES, make_sampler=make)
    assert (outcome.reason, len(ran.trials)) == ("stale", 1 + driver.STALE)
    assert search(study, FakeExecutor(tmp_path), Watcher(), RULES, make_sampler=make).reason == "stale"


def test_a_sampler_that_has_no_more_to_propose_ends_nothing_else(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL), HW)
    make = partial(samplers.make, "optuna.samplers:BruteForceSampler")
    for _ in range(2):
        outcome = search(study, FakeExecutor(tmp_path), Watcher(), RULES, make_sampler=make)
        assert (outcome.reason, outcome.trials) == ("exhausted", 8)


def test_with_a_budget_all_of_it_is_used(tmp_path: Path) -> None:
    ran = run(tmp_path, resolved(HW, trials=driver.STALE + 10), lambda config: 5.0)
    assert len(ran.trials) == driver.STALE + 10


def test_a_baseline_outside_the_domains_is_measured_all_the_same(tmp_path: Path) -> None:
    found = Domains(batch_size=(8,), knobs={}, backends={"onnxruntime": {}, "openvino": {"precision": ("int8",)}})
    ran = run(tmp_path, resolved(HW, found))
    assert ran.configs[0] == plain(HW)
    assert [config.backend for config in ran.configs] == ["torch_eager", "openvino", "onnxruntime"]


def test_a_combination_that_the_machine_cannot_honour_costs_nothing(tmp_path: Path) -> None:
    bare = msgspec.structs.replace(HW, libraries={})  # the libraries went after the study began
    study = in_memory(tmp_path, resolved(HW, SMALL), bare)
    ran = FakeExecutor(tmp_path)
    outcome = search(study, ran, Watcher(), RULES, make_sampler=partial(samplers.make, "tpe"))
    assert (outcome.reason, outcome.trials) == ("exhausted", 4)
    assert {config.knobs["allocator"] for config in ran.configs} == {"system"}
    told = [trial for trial in study.optuna.trials if trial.user_attrs.get("status") == "unsupported"]
    assert told and all(trial.state is TrialState.PRUNED for trial in told)
    assert all("tcmalloc was not found" in trial.user_attrs["error"] for trial in told)
    assert len({trial.user_attrs["config"] for trial in told}) == len(told)
    assert store.numbers(tmp_path) == [spec.id for spec in ran.trials]


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


def test_the_study_goes_on_to_the_original_total(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with on_disk(folder, resolved(HW, trials=6), HW) as study:
        first = FakeExecutor(folder)
        search(study, first, Watcher(), RULES)
    with on_disk(folder, resolved(HW, trials=14), HW) as study:
        second = FakeExecutor(folder)
        outcome = search(study, second, Watcher(), RULES)
    assert (len(first.trials), len(second.trials), outcome.trials) == (6, 8, 14)
    assert len({config.key for config in first.configs + second.configs}) == 14
    with on_disk(folder, resolved(HW, trials=10), HW) as study:
        third = FakeExecutor(folder)
        assert search(study, third, Watcher(), RULES).reason == "trials"
        assert third.trials == []


def test_a_run_that_goes_on_does_not_draw_what_the_first_one_drew(tmp_path: Path) -> None:
    seeds: list[int] = []

    def make(seed: int, points: object) -> optuna.samplers.BaseSampler:
        seeds.append(seed)
        return optuna.samplers.RandomSampler(seed=seed)

    for trials in (2, 2, 4):
        folder = tmp_path / str(len(seeds))
        search(
            in_memory(folder, resolved(HW, trials=trials), HW),
            FakeExecutor(folder),
            Watcher(),
            RULES,
            make_sampler=make,
        )
    assert len(set(seeds)) == 1
    folder = tmp_path / "both"
    for trials in (2, 4):
        with on_disk(folder, resolved(HW, trials=trials), HW) as study:
            search(study, FakeExecutor(folder), Watcher(), RULES, make_sampler=make)
    assert seeds[3] == seeds[0] != seeds[4]


def timed(folder: Path, clock: Clock, trial_s: float) -> FakeExecutor:
    """A machine whose trials take so long; one that would overrun its limit is interrupted there."""
    executor = FakeExecutor(folder)

    def before(spec: TrialSpec, rules: MeasureRules) -> None:
        assert rules.trial_timeout_s is not None
        clock.now += min(trial_s, rules.trial_timeout_s)
        executor.behave = speed if trial_s <= rules.trial_timeout_s else lambda config: Status.INTERRUPTED

    executor.before = before
    return executor


def minutes(minutes: float) -> Space:
    return resolved(HW, minutes=minutes)


def test_the_time_ends_the_search_and_more_time_goes_on(tmp_path: Path) -> None:
    folder, clock = tmp_path / "s", Clock()
    with on_disk(folder, minutes(1), HW) as study:
        outcome = search(study, timed(folder, clock, 25), Watcher(), RULES, clock=clock)
    assert outcome == Outcome(reason="minutes", trials=2, failed=0, elapsed_s=60.0)
    cut = store.results(folder)[2]
    assert cut.status is Status.INTERRUPTED
    clock.now += 3600  # the time between two runs is not the study's
    with on_disk(folder, minutes(1), HW) as study:
        assert search(study, timed(folder, clock, 25), Watcher(), RULES, clock=clock).elapsed_s == 60
        assert len(store.results(folder)) == 3
    with on_disk(folder, minutes(2), HW) as study:
        outcome = search(study, timed(folder, clock, 25), Watcher(), RULES, clock=clock)
    assert (outcome.reason, outcome.trials, outcome.elapsed_s) == ("minutes", 4, 120)
    assert store.results(folder)[3].spec.config == cut.spec.config
    assert store.elapsed_s(folder) == 120


def test_a_reserved_part_of_the_minutes_is_left_for_the_confirmation(tmp_path: Path) -> None:
    folder, clock = tmp_path / "s", Clock()
    with on_disk(folder, minutes(2), HW) as study:
        outcome = search(study, timed(folder, clock, 25), Watcher(), RULES, reserved=1 / 3, clock=clock)
    assert (outcome.reason, outcome.trials) == ("minutes", 3)
    assert outcome.elapsed_s == pytest.approx(80)
    assert store.results(folder)[-1].status is Status.INTERRUPTED


def test_what_is_reserved_limits_no_trials(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=6), HW)
    ran = FakeExecutor(tmp_path)
    assert search(study, ran, Watcher(), RULES, reserved=1 / 3).reason == "trials"
    assert [rules.trial_timeout_s for rules in ran.rules] == [None] * 6


def test_no_trial_begins_with_seconds_left(tmp_path: Path) -> None:
    study, clock = in_memory(tmp_path, minutes(1), HW), Clock()
    outcome = search(study, timed(tmp_path, clock, 28), Watcher(), RULES, clock=clock)
    assert (outcome.reason, outcome.trials, outcome.elapsed_s) == ("minutes", 2, 56)


def test_the_time_of_a_run_that_was_stopped_counts(tmp_path: Path) -> None:
    study, clock = in_memory(tmp_path, minutes(10), HW), Clock()

    def stopped(spec: TrialSpec, rules: MeasureRules) -> None:
        clock.now += 42
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(study, FakeExecutor(tmp_path, before=stopped), Watcher(), RULES, clock=clock)
    assert store.elapsed_s(tmp_path) == 42


def test_rules_keep_the_stricter_limit_of_a_trial(tmp_path: Path) -> None:
    ran = FakeExecutor(tmp_path)
    rules = MeasureRules(trial_timeout_s=7)
    search(in_memory(tmp_path, resolved(HW, trials=1), HW), ran, Watcher(), rules)
    assert ran.rules == [rules]
    other = FakeExecutor(tmp_path / "other")
    search(in_memory(tmp_path / "other", resolved(HW, trials=1), HW), other, Watcher(), RULES)
    assert other.rules == [RULES]


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
