from __future__ import annotations

import dataclasses
import math
import random
from functools import partial
from pathlib import Path

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from autotune.core.config import Config
from autotune.core.results import Status
from autotune.core.space_types import Budget, Domains
from autotune.study.model import suggest
from autotune.study.search import driver, recipes, samplers, unexplored
from autotune.study.search.driver import search
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor, speed
from tests.study.fakes import DOMAINS, SMALL, Watcher, in_memory, plain, resolved
from tests.study.search.searching import HW, RULES, run


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
    assert len(ran.trials) == len({config.key for config in ran.configs}) <= 60
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
    study, make = in_memory(tmp_path, resolved(HW, SMALL), HW), partial(samplers.make, "random")
    ran = FakeExecutor(tmp_path)
    outcome = search(study, ran, Watcher(), RULES, make_sampler=make)
    assert (outcome.reason, outcome.trials) == ("exhausted", suggest.count(SMALL))
    assert len({config.key for config in ran.configs}) == len(ran.trials) == 8
    again = FakeExecutor(tmp_path)
    assert search(study, again, Watcher(), RULES, make_sampler=make).reason == "exhausted"
    assert again.trials == []


@pytest.mark.parametrize("trials", [None, 200])
def test_the_search_ends_when_nothing_more_is_to_be_expected(tmp_path: Path, trials: int | None) -> None:
    """A budget is a ceiling, not a quota; more of it changes nothing, nor does the same command again."""
    study = in_memory(tmp_path, resolved(HW, trials=trials), HW)
    ran = FakeExecutor(tmp_path)
    outcome = search(study, ran, Watcher(), RULES)
    everything = [speed(config) for config in suggest.untried(DOMAINS, HW, (), random.Random(0))]
    assert outcome.reason == "settled"
    assert len(ran.trials) < 0.5 * suggest.count(DOMAINS)
    assert max(map(speed, ran.configs)) >= 0.97 * max(everything)
    assert store.numbers(tmp_path) == [spec.id for spec in ran.trials]
    for budget in (study.space.budget, Budget(trials=1000, minutes=1000), Budget()):
        again = FakeExecutor(tmp_path)
        more = dataclasses.replace(study, space=msgspec.structs.replace(study.space, budget=budget))
        assert search(more, again, Watcher(), RULES).reason == "settled"
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


def test_where_nothing_makes_a_difference_every_backend_and_precision_is_tried_before_the_end(tmp_path: Path) -> None:
    ran = run(tmp_path, resolved(HW, trials=100), lambda config: 5.0)
    assert len(ran.trials) < 30
    tried = {(config.backend, config.options.get("precision")) for config in ran.configs}
    assert {backend for backend, _ in tried} == set(DOMAINS.backends)
    assert {precision for backend, precision in tried if backend == "openvino"} == {"float32", "int8"}


def test_a_search_pauses_before_it_asks_for_the_unexplored_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    first = unexplored.first
    monkeypatch.setattr(unexplored, "first", lambda *given: (asked.append(0), first(*given))[1])
    study, ran = in_memory(tmp_path, resolved(HW), HW), FakeExecutor(tmp_path)
    assert search(study, ran, Watcher(), RULES, pause_gain=math.log(1.10)).reason == "paused"
    paused = len(ran.trials)
    assert not asked and len(study.optuna.trials) == paused
    assert search(study, ran, Watcher(), RULES).reason == "settled"
    assert asked and len(ran.trials) > paused


def test_a_sampler_that_expects_nothing_in_words_uses_all_of_its_budget(tmp_path: Path) -> None:
    study, ran = in_memory(tmp_path, resolved(HW, trials=driver.STALE + 10), HW), FakeExecutor(tmp_path)
    search(study, ran, Watcher(), RULES, make_sampler=partial(samplers.make, "random"))
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
