from __future__ import annotations

from functools import partial
from pathlib import Path

import optuna
import pytest

from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.study.ranking import Ranking
from autotune.study.search import samplers
from autotune.study.search.driver import search
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from tests.fake_executor import Clock, FakeExecutor, speed
from tests.study.fakes import Watcher, in_memory, on_disk, resolved
from tests.study.search.searching import HW, RULES


def test_the_study_goes_on_to_the_original_total(tmp_path: Path) -> None:
    folder, make = tmp_path / "s", partial(samplers.make, "random")
    with on_disk(folder, resolved(HW, trials=6), HW) as study:
        first = FakeExecutor(folder)
        search(study, first, Watcher(), RULES, make_sampler=make)
    with on_disk(folder, resolved(HW, trials=14), HW) as study:
        second = FakeExecutor(folder)
        outcome = search(study, second, Watcher(), RULES, make_sampler=make)
    assert (len(first.trials), len(second.trials), outcome.trials) == (6, 8, 14)
    assert len({config.key for config in first.configs + second.configs}) == 14
    with on_disk(folder, resolved(HW, trials=10), HW) as study:
        third = FakeExecutor(folder)
        assert search(study, third, Watcher(), RULES, make_sampler=make).reason == "trials"
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
        outcome = search(study, timed(folder, clock, 25), Watcher(), RULES, reserve=lambda ranking: 40.0, clock=clock)
    assert (outcome.reason, outcome.trials) == ("minutes", 3)
    assert outcome.elapsed_s == pytest.approx(80)
    assert store.results(folder)[-1].status is Status.INTERRUPTED


def test_what_is_reserved_is_told_by_the_trials_so_far(tmp_path: Path) -> None:
    """A confirmation that is seen to take longer ends the search sooner."""
    folder, clock, seen = tmp_path / "s", Clock(), list[int]()

    def reserve(ranking: Ranking) -> float:
        seen.append(len(ranking.results))
        return 90.0 if len(ranking.results) > 1 else 0.0

    with on_disk(folder, minutes(2), HW) as study:
        outcome = search(study, timed(folder, clock, 25), Watcher(), RULES, reserve=reserve, clock=clock)
    assert seen == [0, 1, 2] and (outcome.reason, outcome.trials, outcome.elapsed_s) == ("minutes", 2, 50)


def test_what_is_reserved_limits_no_trials(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=6), HW)
    ran = FakeExecutor(tmp_path)
    assert search(study, ran, Watcher(), RULES, reserve=lambda ranking: 40.0).reason == "trials"
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
