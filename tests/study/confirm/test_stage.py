from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Finalist
from autotune.core.errors import StudyError
from autotune.core.results import Estimate, Status, TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Limit
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.confirm import comparison
from autotune.study.confirm.stage import LEAST_S, confirm
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor, at, measured, speed
from tests.study.fakes import WORKLOAD, Watcher, machine, plain, searched

HW = machine()
RULES, CONFIRM = MeasureRules(), ConfirmRules()


def config(batch_size: int = 1, backend: str = "torch_eager", **knobs: Value) -> Config:
    return configs.configure(HW, batch_size=batch_size, backend=backend, options={}, knobs=knobs)


PLAIN = plain(HW)
SECOND = config(8, "onnxruntime")
FIRST = config(8, "onnxruntime", allocator="tcmalloc")
THIRD = config(1, "onnxruntime")


def confirmed(study: OpenStudy, interleave: FakeExecutor, confirm_rules: ConfirmRules = CONFIRM) -> Confirmation | None:
    return confirm(study, interleave, Watcher(), RULES, confirm_rules, clock=interleave.clock)


def covers(found: Estimate | None, truth: float) -> bool:
    return found is not None and found.low is not None and found.high is not None and found.low <= truth <= found.high


def by_trial(found: Confirmation) -> dict[int | None, Finalist]:
    return {one.trial: one for one in found.finalists}


# --------------------------------------------------------------------------------------------------------- a winner


def test_the_true_winner_is_found_whatever_the_search_saw(tmp_path: Path) -> None:
    """The search's leader was lucky."""
    study = searched(tmp_path, {PLAIN: 10.2, THIRD: 40.0, SECOND: 22.0, FIRST: 21.0, config(2): 11.0})
    interleave = FakeExecutor(tmp_path)
    found = confirmed(study, interleave)
    assert found is not None and found.winner is not None
    assert (found.confirmed, found.gain, found.reason) == (True, True, None)
    assert (found.winner.config, found.winner.trial) == (FIRST, 3)
    assert [one.trial for one in found.finalists] == [1, 2, 3, 0]
    assert {one.trial: one.verdict for one in found.finalists} == {1: "faster", 2: "faster", 3: None, 0: "faster"}
    truth = speed(FIRST) / speed(PLAIN)
    assert covers(found.winner.ratio, truth) and covers(found.winner.throughput, speed(FIRST))
    assert found.winner.ratio.estimate == pytest.approx(truth, rel=0.01)
    assert covers(by_trial(found)[1].ratio, speed(THIRD) / speed(PLAIN))
    assert covers(by_trial(found)[0].behind, truth)
    assert found.noise_floor is not None and 0 < found.noise_floor < 0.02
    assert found.winner.runs >= CONFIRM.runs and found.winner.rounds >= CONFIRM.first_stage
    assert len(found.winner.folders) == found.winner.runs
    assert all((tmp_path / folder).is_dir() for folder in found.winner.folders)
    assert found.winner.cpu_s_per_sample == pytest.approx(1 / speed(FIRST), rel=0.01)
    assert store.confirmation(tmp_path) == found
    assert found.seconds == interleave.clock.now - 1000 == store.elapsed_s(tmp_path)


def test_the_leader_sits_twice_and_a_finalist_that_is_beaten_sits_no_more(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0, THIRD: 15.0})
    interleave = FakeExecutor(tmp_path)
    confirmed(study, interleave)
    assert list(interleave.runs[0].configs) == ["trial-1", "trial-2", "trial-3", "baseline", "trial-1-again"]
    assert interleave.runs[0].configs["trial-1"] == interleave.runs[0].configs["trial-1-again"] == FIRST
    finalists = [spec for spec in interleave.runs if "/finalists-" in spec.folder]
    assert list(finalists[-1].configs) == ["trial-1", "baseline", "trial-1-again"]
    assert len(finalists) == CONFIRM.runs


def test_a_configuration_that_was_measured_twice_is_one_finalist(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0})
    spec = TrialSpec(id=3, workload=WORKLOAD, config=FIRST, folder=store.trial_folder(3))
    (tmp_path / spec.folder).mkdir()
    store.write_result(tmp_path, measured(spec, 29.0))
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and [one.trial for one in found.finalists] == [1, 2, 0]


@pytest.mark.parametrize("fields", [{"status": Status.REJECTED}, {"feasible": False}])
def test_what_was_given_up_or_breaks_a_limit_is_no_finalist(tmp_path: Path, fields: dict[str, Any]) -> None:
    given = {name: {FIRST: value} for name, value in fields.items()}
    found = confirmed(searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, **given), FakeExecutor(tmp_path))
    assert found is not None and [one.trial for one in found.finalists] == [2, 0]


@pytest.mark.parametrize(
    ("rates", "fields"),
    [
        ({}, {}),
        ({PLAIN: 10.2}, {}),
        ({FIRST: 30.0}, {}),
        ({PLAIN: 10.2, FIRST: 30.0}, {"status": {FIRST: Status.REJECTED}}),
        ({PLAIN: 10.2, FIRST: 30.0}, {"status": {PLAIN: Status.CRASHED}}),
    ],
)
def test_without_a_baseline_and_another_there_is_nothing_to_confirm(
    tmp_path: Path, rates: dict[Config, float], fields: dict[str, dict[Config, Any]]
) -> None:
    interleave = FakeExecutor(tmp_path)
    assert confirmed(searched(tmp_path, rates, **fields), interleave) is None
    assert interleave.runs == []
    assert store.confirmation(tmp_path) is None


# ---------------------------------------------------------------------------------------------------------- no gain


def test_where_the_baseline_is_the_best_there_is_no_gain(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    found = confirmed(study, FakeExecutor(tmp_path, candidate=at({PLAIN: 12.0, FIRST: 10.0, SECOND: 9.0})))
    assert found is not None and found.winner is not None
    assert (found.confirmed, found.gain, found.reason) == (True, False, None)
    assert (found.winner.config, found.winner.trial) == (PLAIN, 0)
    assert (found.winner.ratio.estimate, found.ablations, found.path) == (1.0, (), ())
    assert covers(by_trial(found)[1].ratio, 10 / 12)
    assert by_trial(found)[0].verdict is None and by_trial(found)[1].verdict == "faster"


def test_a_baseline_that_leads_the_search_is_not_confirmed_against_itself(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 12.0, FIRST: 10.0, SECOND: 9.0})
    interleave = FakeExecutor(tmp_path, candidate=at({PLAIN: 12.0, FIRST: 15.0, SECOND: 9.0}))
    found = confirmed(study, interleave)
    assert list(interleave.runs[0].configs) == ["baseline", "trial-1", "trial-2", "baseline-again"]
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


@pytest.mark.parametrize("minutes", [0.5, 1.0])
def test_too_few_runs_claim_nothing_and_say_so(tmp_path: Path, minutes: float) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, minutes)
    found = confirmed(study, FakeExecutor(tmp_path, start_s=4.0))
    assert found is not None
    assert (found.confirmed, found.gain, found.winner) == (False, False, None)
    assert found.reason is not None
    assert re.fullmatch(
        r"the time was enough for \d of the 6 interleaved runs that a claim needs; "
        r"the same command goes on, if need be with --minutes raised by [1-9]",
        found.reason,
    )
    assert store.confirmation(tmp_path) == found


def test_a_search_that_used_all_the_time_confirms_nothing(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, 1.0)
    store.write_elapsed(tmp_path, 61)
    interleave = FakeExecutor(tmp_path)
    found = confirmed(study, interleave)
    assert found is not None and found.winner is None and interleave.runs == []
    assert found.reason is not None and found.reason.endswith("goes on, if need be with --minutes raised by 4")


# ------------------------------------------------------------------------------------------------------------- ties


def tied(study: OpenStudy, interleave: FakeExecutor, **rules: Any) -> Config:
    """What wins before it is explained."""
    found = confirmed(study, interleave, ConfirmRules(**rules))
    assert found is not None and found.winner is not None and found.gain
    verdicts = [one.verdict for one in found.finalists if one.config != PLAIN]
    assert sorted(map(str, verdicts)) == ["None", "tie"]
    return next(spec.configs["winner"] for spec in interleave.runs if "/one-out-" in spec.folder)


@pytest.mark.parametrize(
    "rules", [{"most_rounds": 3, "most_runs": 6}, {}], ids=["both in the running", "one dropped by the selection"]
)
def test_of_ties_the_one_with_the_fewest_settings_changed_wins(tmp_path: Path, rules: dict[str, int]) -> None:
    rates = {PLAIN: 10.0, FIRST: 20.1, SECOND: 20.0}
    for number, search in enumerate(
        ({PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0}, {PLAIN: 10.0, SECOND: 30.0, FIRST: 20.0})
    ):
        folder = tmp_path / str(number)
        interleave = FakeExecutor(folder, candidate=at(rates), noise=0.005)
        assert tied(searched(folder, search), interleave, **{"first_stage": 50} | rules) == SECOND


def test_of_ties_with_as_many_changes_the_one_with_less_memory_wins(tmp_path: Path) -> None:
    light, heavy = config(8, allocator="tcmalloc"), config(8, allocator="jemalloc")
    rates = {PLAIN: 10.0, heavy: 20.05, light: 20.0}
    peaks = {PLAIN: 100, light: 200, heavy: 300}
    for number, search in enumerate(({PLAIN: 10.0, heavy: 30.0, light: 20.0}, {PLAIN: 10.0, light: 30.0, heavy: 20.0})):
        folder = tmp_path / str(number)
        interleave = FakeExecutor(folder, candidate=at(rates), noise=0.005)
        assert tied(searched(folder, search, peak_rss_bytes=peaks), interleave, most_rounds=3) == light


def test_undecided_is_no_tie(tmp_path: Path) -> None:
    """The two trade places from run to run: the simpler one might be worse by more than matters."""

    def behave(name: str, spec: InterleavedSpec) -> float:
        swing = 1.06 if spec.number % 2 else 0.96
        return {PLAIN: 10.0, FIRST: 20.0 * swing}.get(spec.configs[name], 20.0)

    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    found = confirmed(study, FakeExecutor(tmp_path, candidate=behave), ConfirmRules(most_rounds=3, most_runs=6))
    assert found is not None and found.winner is not None
    assert by_trial(found)[2].verdict == "undecided"
    assert found.winner.config == FIRST
    assert by_trial(found)[1].verdict is None


# ---------------------------------------------------------------------------------------------------------- failing


def test_a_finalist_that_crashes_does_not_win_and_says_why(tmp_path: Path) -> None:
    """It is the fastest, and crashes in its third round of every interleaved run but the first."""
    study = searched(tmp_path, {PLAIN: 10.0, SECOND: 30.0, FIRST: 20.0})
    interleave = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, SECOND: 20.0, FIRST: 25.0}))
    interleave.fails = lambda name, spec: 2 if name == "trial-2" and spec.number > 1 else None
    found = confirmed(study, interleave)
    assert found is not None and found.winner is not None
    assert found.winner.config == SECOND and found.gain
    failed = by_trial(found)[2]
    assert failed.error == "a made-up crash" and covers(failed.ratio, 2.5)
    assert sum("trial-2" in spec.configs for spec in interleave.runs) == 1 + comparison.ENOUGH_FAILURES


def test_a_winner_that_crashed_in_its_last_run_is_exported_as_it_ran_before(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 1 if (name, spec.number) == ("trial-1", 6) else None)
    found = confirmed(searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}), interleave)
    assert found is not None and found.winner is not None
    assert (found.winner.config, found.winner.runs, found.winner.versions) == (FIRST, 6, {"toy": "1.0"})


def test_a_leader_that_crashes_leaves_the_others_to_win(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0})
    interleave = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, FIRST: 25.0, SECOND: 20.0}))
    interleave.fails = lambda name, spec: 2 if spec.configs[name] == FIRST else None
    found = confirmed(study, interleave)
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
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 0)
    found = confirmed(study, interleave)
    assert found is not None and found.winner is None and len(interleave.runs) == comparison.ENOUGH_FAILURES
    assert [one.error for one in found.finalists] == ["a made-up crash"] * 3


# --------------------------------------------------------------------------------------------------- memory and time


@pytest.mark.parametrize(("peak", "together"), [(2**30, True), (2**32, False), (None, True)])
def test_what_does_not_fit_into_memory_at_once_sits_one_by_one(
    tmp_path: Path, peak: int | None, together: bool
) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, peak_rss_bytes=dict.fromkeys((FIRST,), peak))
    interleave = FakeExecutor(tmp_path)
    confirmed(study, interleave)
    assert interleave.runs[0].together is together  # four of them in 16 GiB; an unknown one counts as the largest


@pytest.mark.parametrize(("elapsed_s", "seconds"), [(10, LEAST_S), (6000, 3000)])
def test_without_minutes_the_confirmation_is_in_proportion_to_the_search(
    tmp_path: Path, elapsed_s: float, seconds: float
) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, None)
    store.write_elapsed(tmp_path, elapsed_s)
    interleave = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, FIRST: 10.0}), noise=0.2)
    confirmed(study, interleave)
    assert interleave.runs[0].limit_s == pytest.approx(seconds)


@pytest.mark.parametrize(("elapsed_s", "seconds"), [(100, 200), (450, 150)])
def test_the_confirmation_takes_what_is_left_of_the_minutes_but_at_most_its_share(
    tmp_path: Path, elapsed_s: float, seconds: float
) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, 10)
    store.write_elapsed(tmp_path, elapsed_s)
    interleave = FakeExecutor(tmp_path)
    confirmed(study, interleave)
    assert interleave.runs[0].limit_s == pytest.approx(seconds)
    assert store.elapsed_s(tmp_path) <= elapsed_s + seconds + 10


# ------------------------------------------------------------------------------------------------------- interruption


def numbers(specs: Sequence[InterleavedSpec]) -> list[tuple[str, int]]:
    return [(spec.folder, spec.rounds) for spec in specs]


@pytest.mark.parametrize("interrupt_at", [1, 4, 8, 15])
def test_an_interrupted_confirmation_goes_on_to_the_same_result(tmp_path: Path, interrupt_at: int) -> None:
    search = {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    straight = FakeExecutor(whole)
    expected = confirmed(searched(whole, search, 600), straight)
    assert expected is not None and len(straight.runs) >= 15
    study = searched(cut, search, 600)
    first = FakeExecutor(cut, interrupt_run=interrupt_at)
    with pytest.raises(KeyboardInterrupt):
        confirmed(study, first)
    kept = store.confirmation(cut)
    assert kept is None or (kept.confirmed and not kept.finished and kept.winner == expected.winner)
    assert store.elapsed_s(cut) == first.clock.now - 1000
    second = FakeExecutor(cut)
    found = confirmed(study, second)
    assert numbers(first.runs[:-1] + second.runs) == numbers(straight.runs)
    assert found is not None
    assert msgspec.structs.replace(found, seconds=0) == msgspec.structs.replace(expected, seconds=0)
    third = FakeExecutor(cut)
    again = confirmed(study, third)
    assert third.runs == [] and again is not None
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(expected, seconds=0)


def test_another_search_confirms_anew(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, THIRD: 20.0}, 600)
    assert confirmed(study, FakeExecutor(tmp_path)) is not None
    spec = TrialSpec(id=2, workload=WORKLOAD, config=FIRST, folder=store.trial_folder(2))
    (tmp_path / spec.folder).mkdir()
    store.write_result(tmp_path, measured(spec, 30.0))
    store.reopen_confirmation(tmp_path)  # as the search does after a better trial
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and found.winner is not None and found.winner.config == FIRST
    assert store.confirmation(tmp_path) == found


def test_a_damaged_confirmation_is_named(tmp_path: Path) -> None:
    (tmp_path / "confirmation.json").write_text("{")
    with pytest.raises(StudyError, match=r"confirmation\.json is damaged.*delete it, and run the study again"):
        store.confirmation(tmp_path)
    store.write_confirmation(tmp_path, None)
    assert store.confirmation(tmp_path) is None


def test_the_observer_hears_of_each_part(tmp_path: Path) -> None:
    study, watcher, interleave = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}), Watcher(), FakeExecutor(tmp_path)
    confirm(study, interleave, watcher, RULES, CONFIRM, clock=interleave.clock)
    assert watcher.parts == [
        "confirming 2 configurations against each other",
        "measuring what each setting of the winner is worth",
        "measuring the way from the baseline to the winner in 3 steps",
    ]


def test_a_trials_result_is_unchanged(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0})
    before: list[TrialResult] = store.results(tmp_path)
    confirmed(study, FakeExecutor(tmp_path))
    assert store.results(tmp_path) == before


# ------------------------------------------------------------------------------------------------------------- limits

P99 = (Limit(metric="latency_p99_ms", max=20.0),)


def late(configs: dict[Config, float], others_ms: float = 10.0) -> Callable[[Config, int], float]:
    """One call in ten of these takes so long, which p50 does not show."""
    return lambda config, call: configs.get(config, others_ms) if call == 9 else others_ms


def test_a_limited_percentile_is_judged_by_the_calls_that_it_wants(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    interleave = FakeExecutor(tmp_path, latency_ms=late({}))
    found = confirmed(study, interleave)
    assert found is not None and found.winner is not None and found.winner.config == FIRST
    assert found.winner.metrics["latency_p99_ms"] == 10.0
    (alone,) = (spec for spec in interleave.runs if "/alone-trial-1-" in spec.folder)
    assert list(alone.configs) == ["trial-1"]
    assert f"{alone.folder}/trial-1" in found.winner.folders


def test_without_a_limit_on_a_percentile_nothing_is_measured_alone(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0})
    interleave = FakeExecutor(tmp_path, latency_ms=late({}))
    confirmed(study, interleave)
    assert not any("/alone-" in spec.folder for spec in interleave.runs)


def test_finalists_that_break_a_limit_make_room_for_the_next_trials(tmp_path: Path) -> None:
    fast = {config(8, "openvino", allocator=name): rate for name, rate in (("system", 40.0), ("tcmalloc", 39.0))}
    fast[config(8, "openvino")] = 40.0
    third = config(4, "openvino", allocator="jemalloc")
    study = searched(tmp_path, {PLAIN: 10.2, **fast, third: 38.0, SECOND: 20.0}, constraints=P99)
    interleave = FakeExecutor(tmp_path, latency_ms=late(dict.fromkeys([*fast, third], 30.0)))
    found = confirmed(study, interleave)
    assert found is not None and found.winner is not None
    assert (found.winner.config, found.gain) == (SECOND, True)
    broken = {one.config for one in found.finalists if one.broken is not None}
    assert broken == {*fast, third}
    assert all("allowed at most 20" in str(one.broken) for one in found.finalists if one.config in broken)


def test_where_all_break_a_limit_nothing_is_claimed(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    found = confirmed(study, FakeExecutor(tmp_path, latency_ms=late({}, 30.0)))
    assert found is not None and (found.confirmed, found.gain) == (False, False)
    assert found.reason is not None and "no finalist kept the limits" in found.reason


def test_a_measurement_alone_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    before = confirmed(study, FakeExecutor(tmp_path, latency_ms=late({})))
    (tmp_path / "confirmation.json").unlink()
    interleave = FakeExecutor(tmp_path, latency_ms=late({}))
    found = confirmed(study, interleave)
    assert before is not None and found is not None and found.winner == before.winner
    assert not any("/alone-trial-1-" in spec.folder for spec in interleave.runs)


def test_a_confirmation_for_memory_outlives_a_candidate_that_fails_after_some_rounds(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, peak_rss_bytes={PLAIN: 2**28, FIRST: 2**27})
    wanted = msgspec.structs.replace(study.space, objective="peak_rss_bytes")
    study = dataclasses.replace(study, space=wanted)
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 1 if name == "trial-1" and spec.number == 2 else None)
    found = confirmed(study, interleave)
    assert found is not None and found.confirmed and found.winner is not None
    assert (found.winner.config, found.gain) == (PLAIN, False)  # all candidates need the same memory here
    first = by_trial(found)[1]
    assert (first.error, first.ratio) == (None, Estimate(estimate=1.0, low=1.0, high=1.0))


def test_where_the_time_to_set_up_is_wanted_each_is_started_alone(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, setup_s={PLAIN: 2.0, FIRST: 1.0})
    study = dataclasses.replace(study, space=msgspec.structs.replace(study.space, objective="setup_s"))
    interleave = FakeExecutor(tmp_path)
    confirmed(study, interleave)
    assert not any(spec.together for spec in interleave.runs)


def test_the_time_to_set_up_is_the_trials_where_all_were_started_together(tmp_path: Path) -> None:
    limit = (Limit(metric="setup_s", max=0.8),)
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, constraints=limit, setup_s={PLAIN: 0.5, FIRST: 0.7})
    found = confirmed(study, FakeExecutor(tmp_path))  # in which every start takes a second
    assert found is not None and found.winner is not None and found.winner.config == FIRST
    assert (found.winner.setup_s, found.winner.metrics["setup_s"]) == (0.7, 0.7)


def test_one_that_fails_alone_is_not_measured_for_ever(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    interleave = FakeExecutor(
        tmp_path, latency_ms=late({}), fails=lambda name, spec: 0 if "/alone-" in spec.folder else None
    )
    found = confirmed(study, interleave)
    assert found is not None and found.confirmed and found.winner is not None and found.winner.config == FIRST
    assert sum("/alone-trial-1-" in spec.folder for spec in interleave.asked) == 1


# ------------------------------------------------------------------------------------------- an environment removed


def test_a_trial_whose_environment_was_removed_is_no_finalist(tmp_path: Path) -> None:
    gone = config(8, "onnxruntime", interpreter="removed")
    study = searched(tmp_path, {PLAIN: 10.0, SECOND: 20.0, gone: 40.0})
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and found.winner is not None
    assert found.winner.config == SECOND
    assert gone not in [one.config for one in found.finalists]
