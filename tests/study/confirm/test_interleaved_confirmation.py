from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from autotune.core.config import Config
from autotune.core.results import Status
from autotune.core.rules import ConfirmRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.study.confirm import outcomes
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor, at, measured, speed
from tests.study.confirm.confirming import (
    CONFIRM,
    FIRST,
    PLAIN,
    SECOND,
    THIRD,
    by_trial,
    config,
    confirmed,
    covers,
)
from tests.study.fakes import WORKLOAD, searched


def test_the_true_winner_is_found_whatever_the_search_saw(tmp_path: Path) -> None:
    """The search's leader was lucky."""
    study = searched(tmp_path, {PLAIN: 10.2, THIRD: 40.0, SECOND: 22.0, FIRST: 21.0, config(2): 11.0})
    executor = FakeExecutor(tmp_path)
    found = confirmed(study, executor)
    assert found is not None and found.winner is not None
    assert (found.confirmed, found.gain, found.reason) == (True, True, None)
    assert (found.winner.config, found.winner.trial) == (FIRST, 3)
    assert [one.trial for one in found.finalists] == [1, 2, 3, 4, 0]
    verdicts = {one.trial: one.verdict for one in found.finalists}
    assert verdicts == {1: "faster", 2: "faster", 3: None, 4: "faster", 0: "faster"}
    truth = speed(FIRST) / speed(PLAIN)
    assert covers(found.winner.ratio, truth) and covers(found.winner.throughput, speed(FIRST))
    assert found.winner.ratio.estimate == pytest.approx(truth, rel=0.01)
    assert covers(by_trial(found)[1].ratio, speed(THIRD) / speed(PLAIN))
    assert covers(by_trial(found)[0].behind, truth)
    assert found.noise_floor is None  # the search's leader was soon dropped
    assert found.winner.runs == CONFIRM.runs
    assert found.winner.indirect and len(found.winner.folders) == found.winner.runs + 1  # one with the baseline, too
    assert all((tmp_path / folder).is_dir() for folder in found.winner.folders)
    assert found.winner.cpu_s_per_sample == pytest.approx(1 / speed(FIRST), rel=0.01)
    assert store.confirmation(tmp_path) == found
    assert found.seconds == executor.clock.now - 1000 == store.elapsed_s(tmp_path)


def test_the_leader_is_measured_twice_and_a_finalist_that_is_beaten_no_more(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0, THIRD: 15.0})
    executor = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, FIRST: 13.0, SECOND: 11.0, THIRD: 13.0}))
    found = confirmed(study, executor)
    finalists = [list(spec.configs) for spec in executor.runs if "/finalists-" in spec.folder]
    assert finalists[: CONFIRM.runs] == [["trial-1", "baseline", "trial-1-again"]] * CONFIRM.runs
    assert executor.runs[0].configs["trial-1"] == executor.runs[0].configs["trial-1-again"] == FIRST
    assert finalists[CONFIRM.runs] == ["trial-1", "trial-2", "trial-3"] and ["trial-1", "trial-3"] in finalists
    assert found is not None and found.noise_floor is not None and 0 < found.noise_floor < 0.03


@pytest.mark.parametrize("fields", [{"status": Status.REJECTED}, {"feasible": False}])
def test_what_was_given_up_or_breaks_a_limit_is_no_finalist(tmp_path: Path, fields: dict[str, Any]) -> None:
    given = {name: {FIRST: value} for name, value in fields.items()}
    found = confirmed(searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, **given), FakeExecutor(tmp_path))
    assert found is not None and [one.trial for one in found.finalists] == [2, 0]


def test_a_configuration_that_was_measured_twice_is_one_finalist(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0})
    spec = TrialSpec(id=3, workload=WORKLOAD, config=FIRST, folder=store.trial_folder(3))
    (tmp_path / spec.folder).mkdir()
    store.write_result(tmp_path, measured(spec, 29.0))
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and [one.trial for one in found.finalists] == [1, 2, 0]


# -------------------------------------------------------------------------------------------------------------- no gain


def test_where_the_baseline_is_the_best_there_is_no_gain(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    found = confirmed(study, FakeExecutor(tmp_path, candidate=at({PLAIN: 12.0, FIRST: 10.0, SECOND: 9.0})))
    assert found is not None and found.winner is not None
    assert (found.confirmed, found.gain, found.reason) == (True, False, None)
    assert (found.winner.config, found.winner.trial) == (PLAIN, 0)
    assert (found.winner.ratio.estimate, found.ablations, found.path) == (1.0, (), ())
    ratio = by_trial(found)[1].ratio
    assert ratio is not None and ratio.estimate == pytest.approx(10 / 12, rel=0.01)
    assert by_trial(found)[0].verdict is None and by_trial(found)[1].verdict == "faster"


def test_a_baseline_that_leads_the_search_is_not_confirmed_against_itself(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 12.0, FIRST: 10.0, SECOND: 9.0})
    executor = FakeExecutor(tmp_path, candidate=at({PLAIN: 12.0, FIRST: 15.0, SECOND: 9.0}))
    found = confirmed(study, executor)
    assert list(executor.runs[0].configs) == ["trial-1", "baseline", "trial-1-again"]
    assert found is not None and found.winner is not None and found.winner.config == FIRST


def test_a_gain_below_the_noise_floor_is_not_claimed(tmp_path: Path) -> None:
    """The leader's twin runs 10 % slower, so that 6 % are nothing."""

    def behave(name: str, spec: InterleavedSpec) -> float:
        return 9.54 if name == "trial-1-again" else 10.6 if spec.configs[name] == FIRST else 10.0

    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0})
    found = confirmed(study, FakeExecutor(tmp_path, candidate=behave))
    assert found is not None and found.winner is not None
    assert found.noise_floor == pytest.approx(math.log(10.6 / 9.54), abs=0.02)
    low = by_trial(found)[1].ratio
    assert low is not None and low.low is not None and low.low > 1.03
    assert (found.confirmed, found.gain, found.winner.config) == (True, False, PLAIN)


@pytest.mark.parametrize(("minutes", "count"), [(0.1, 0), (0.25, 1), (0.5, 2)])
def test_too_few_runs_claim_nothing_and_say_so(tmp_path: Path, minutes: float, count: int) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, minutes)
    found = confirmed(study, FakeExecutor(tmp_path, start_s=4.0))
    assert found is not None
    assert (found.confirmed, found.gain) == (False, False)
    assert (0 if found.winner is None else found.winner.runs) == count
    assert found.winner is None or found.winner.config == FIRST
    assert found.reason is not None
    assert re.fullmatch(
        r"the time was enough for \d of the [36] interleaved runs that a claim needs; "
        r"the same command goes on, if need be with --minutes raised by [1-9]",
        found.reason,
    )
    assert store.confirmation(tmp_path) == found


def test_a_search_that_used_all_the_time_confirms_nothing(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, 1.0)
    store.write_elapsed(tmp_path, 61)
    executor = FakeExecutor(tmp_path)
    found = confirmed(study, executor)
    assert found is not None and found.winner is None and executor.runs == []
    assert found.reason is not None and found.reason.endswith("goes on, if need be with --minutes raised by 4")


# ----------------------------------------------------------------------------------------------------------------- ties


def tied(study: OpenStudy, executor: FakeExecutor, **rules: Any) -> Config:
    """The winner before it is explained."""
    found = confirmed(study, executor, ConfirmRules(**rules))
    assert found is not None and found.winner is not None and found.gain
    verdicts = [one.verdict for one in found.finalists if one.config != PLAIN]
    assert sorted(map(str, verdicts)) == ["None", "tie"]
    return next(spec.configs["winner"] for spec in executor.runs if "/one-out-" in spec.folder)


@pytest.mark.parametrize(
    "rules", [{"most_rounds": 3, "most_runs": 6}, {}], ids=["both in the running", "one dropped by the selection"]
)
def test_of_ties_the_one_with_the_fewest_settings_changed_wins(tmp_path: Path, rules: dict[str, int]) -> None:
    rates = {PLAIN: 10.0, FIRST: 20.1, SECOND: 20.0}
    for number, search in enumerate(
        ({PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0}, {PLAIN: 10.0, SECOND: 30.0, FIRST: 20.0})
    ):
        folder = tmp_path / str(number)
        executor = FakeExecutor(folder, candidate=at(rates), noise=0.005)
        assert tied(searched(folder, search), executor, **{"first_stage": 50} | rules) == SECOND


def test_of_ties_with_as_many_changes_the_one_with_less_memory_wins(tmp_path: Path) -> None:
    light, heavy = config(8, allocator="tcmalloc"), config(8, allocator="jemalloc")
    rates = {PLAIN: 10.0, heavy: 20.05, light: 20.0}
    peaks = {PLAIN: 100, light: 200, heavy: 300}
    for number, search in enumerate(({PLAIN: 10.0, heavy: 30.0, light: 20.0}, {PLAIN: 10.0, light: 30.0, heavy: 20.0})):
        folder = tmp_path / str(number)
        executor = FakeExecutor(folder, candidate=at(rates), noise=0.005)
        assert tied(searched(folder, search, peak_rss_bytes=peaks), executor, most_rounds=3) == light


def test_undecided_is_no_tie(tmp_path: Path) -> None:
    """The two trade places from run to run: the simpler one seems to be worse by more than matters."""

    def behave(name: str, spec: InterleavedSpec) -> float:
        swing = 0.96 if spec.number % 2 else 1.16
        return {PLAIN: 10.0, FIRST: 20.0 * swing}.get(spec.configs[name], 20.0)

    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    found = confirmed(study, FakeExecutor(tmp_path, candidate=behave), ConfirmRules(most_rounds=3, most_runs=6))
    assert found is not None and found.winner is not None
    assert by_trial(found)[2].verdict == "undecided"
    assert found.winner.config == FIRST
    assert by_trial(found)[1].verdict is None


# -------------------------------------------------------------------------------------------------------------- failing


def test_a_finalist_that_crashes_does_not_win_and_says_why(tmp_path: Path) -> None:
    """It is the fastest, and crashes in its third round of every interleaved run but its first."""
    study = searched(tmp_path, {PLAIN: 10.0, SECOND: 30.0, FIRST: 20.0})
    executor = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, SECOND: 20.0, FIRST: 25.0}))
    executor.fails = lambda name, spec: 2 if name == "trial-2" and spec.number > CONFIRM.runs + 1 else None
    found = confirmed(study, executor)
    assert found is not None and found.winner is not None
    assert found.winner.config == SECOND and found.gain
    failed = by_trial(found)[2]
    assert failed.error == "a made-up crash" and covers(failed.ratio, 2.5)
    assert sum("trial-2" in spec.configs for spec in executor.runs) == 1 + outcomes.ENOUGH_FAILURES


def test_a_winner_that_crashed_in_its_last_run_is_exported_as_it_ran_before(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 1 if (name, spec.number) == ("trial-1", 3) else None)
    found = confirmed(searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}), executor)
    assert found is not None and found.winner is not None
    assert (found.winner.config, found.winner.runs, found.winner.versions) == (FIRST, 3, {"onnxruntime": "1.0"})


def test_a_leader_that_crashes_leaves_the_others_to_win(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    executor = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, FIRST: 25.0, SECOND: 20.0}))
    executor.fails = lambda name, spec: 2 if spec.configs[name] == FIRST else None
    found = confirmed(study, executor)
    assert found is not None and found.winner is not None
    assert found.winner.config == SECOND
    assert by_trial(found)[1].error == "a made-up crash"


def test_a_leader_that_always_crashes_leaves_the_claim_to_the_next(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    found = confirmed(
        study, FakeExecutor(tmp_path, fails=lambda name, spec: 0 if spec.configs[name] == FIRST else None)
    )
    assert found is not None
    assert (found.confirmed, found.gain, found.noise_floor) == (True, True, None)
    assert found.winner is not None and found.winner.config == SECOND


def test_without_its_baseline_nothing_is_claimed(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    found = confirmed(study, FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "baseline" else None))
    assert found is not None
    assert (found.confirmed, found.gain, found.winner) == (False, False, None)
    assert found.reason == "baseline failed while it was confirmed: a made-up crash"
    assert by_trial(found)[0].error == "a made-up crash" and by_trial(found)[1].ratio is None


def test_everybody_may_crash(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 0)
    found = confirmed(study, executor)
    assert found is not None and found.winner is None and len(executor.runs) == outcomes.ENOUGH_FAILURES
    assert {one.trial: one.error for one in found.finalists} == {1: "a made-up crash", 2: None, 0: "a made-up crash"}
