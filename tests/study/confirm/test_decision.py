from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.results import InterleavedRun, Latency, TrialResult
from autotune.core.space_types import Goal
from autotune.study.confirm import elimination
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from tests.report.made import config, result
from tests.study.confirm.finalist_runs import (
    ALL,
    FINALISTS,
    NAMES,
    RULES,
    SMALL,
    THIRD,
    decide,
    run,
    until_claimed,
    with_memory,
)


def test_what_breaks_a_limit_is_out_of_the_running() -> None:
    runs = [with_memory(number, trial_1=500) for number in (1, 2)]
    assert elimination.remaining(runs, NAMES, RULES, SMALL) == {"trial-2"}
    found = decide([with_memory(number, trial_1=500) for number in range(1, 7)], SMALL)
    assert (found.name, found.gain) == ("trial-2", True)
    assert [one.broken for one in found.finalists] == [
        "peak_rss_bytes is 5.243e+08, allowed at most 2.09715e+08",
        None,
        None,
    ]


def test_a_baseline_that_breaks_a_limit_does_not_win() -> None:
    """Nothing is faster than it, and yet it cannot be used."""
    slow = {**ALL, "trial_1": 8.0, "trial_1_again": 8.0, "trial_2": 5.0}
    runs = [run(number, **slow) for number in range(1, 7)]
    assert decide(runs).name == BASELINE
    heavy = []
    for one in runs:
        candidates = {
            name: msgspec.structs.replace(candidate, peak_rss_bytes=(9 if name == BASELINE else 1) * 2**27)
            for name, candidate in one.candidates.items()
        }
        heavy.append(msgspec.structs.replace(one, candidates=candidates))
    found = decide(heavy, SMALL)
    assert (found.name, found.gain, found.reason) == ("trial-1", False, None)


def test_nothing_is_claimed_where_every_finalist_breaks_a_limit() -> None:
    runs = [with_memory(number, trial_1=500, trial_2=500, baseline=500) for number in range(1, 7)]
    found = decide(runs, SMALL)
    assert not found.gain
    assert found.reason is not None and "no finalist kept the limits while it was confirmed" in found.reason
    assert until_claimed(SMALL)(runs[:1]) == set()


def test_runs_without_the_figure_are_no_claim() -> None:
    memory = Constraints(Path(), Goal(objectives=("peak_rss_bytes",)), RULES.confidence)
    found = decide([run(number, **ALL) for number in range(1, 7)], memory)
    assert not found.gain
    assert found.reason == "only 0 interleaved runs have what is wanted of baseline; a claim needs 6"


# -------------------------------------------------------------------------------------------------- the runs of a claim


def swinging(count: int, swing: float, **gains: float) -> list[InterleavedRun]:
    """Runs in which these candidates are so much faster than 10, as log ratios, and swing; the others are as usual."""
    runs = []
    for number in range(1, count + 1):
        sign = 1 if number % 2 else -1
        rates = {name: 10 * math.exp(gain + sign * swing) for name, gain in gains.items()}
        runs.append(run(number, **ALL | rates))
    return runs


def test_three_runs_are_enough_for_a_claim_whose_interval_is_narrow() -> None:
    runs = swinging(3, 0.01, trial_1=math.log(2))
    few, enough = decide(runs[:2]), decide(runs)
    assert few.reason is not None and few.reason.startswith("the time was enough for 2 of the ")
    assert (few.name, few.gain, few.settled) == ("trial-1", False, False)
    assert (enough.name, enough.gain, enough.reason, enough.settled) == ("trial-1", True, None, True)


def test_six_runs_are_needed_where_it_is_wide() -> None:
    runs = swinging(6, 0.15, trial_1=math.log(2))
    few = decide(runs[:5])
    assert few.reason is not None and few.reason.startswith("the time was enough for 5 of the 6 interleaved runs")
    assert until_claimed()(runs[:5]) >= {"trial-1", BASELINE}
    enough = decide(runs)
    assert (enough.name, enough.gain, enough.reason, enough.settled) == ("trial-1", True, None, True)


def test_a_claim_stays_while_its_rivals_go_on_without_the_baseline() -> None:
    """The two are level; in the runs without the baseline they trade places."""
    runs = [run(number, **ALL | {"trial_2": 20.0 * (1.025 if number % 2 else 1 / 1.025)}) for number in range(1, 4)]
    claimed = decide(runs)
    assert claimed.gain and claimed.settled and claimed.rivals == {"trial-1", "trial-2"}
    for number in range(4, 9):
        runs.append(run(number, trial_1=20.0, trial_2=20.0 * (1.3 if number % 2 else 1 / 1.3)))
        found = decide(runs)
        assert (found.gain, found.reason, found.settled) == (True, None, True)
        assert [one.ratio for one in found.finalists] == [one.ratio for one in claimed.finalists]


def test_if_the_time_ends_one_that_has_a_claim_wins() -> None:
    """The faster one was measured in one run with the baseline only; while there is time it is the one to claim."""
    faster = [run(number, trial_1=20.0, trial_2=24.0) for number in range(5, 6)]
    once = run(4, trial_1=20.0, trial_2=24.0, baseline=10.0)
    alone = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [*(run(number, **alone) for number in range(1, 4)), once, *faster]
    going_on = decide(runs)
    assert (going_on.name, going_on.gain, going_on.settled) == ("trial-2", False, True)
    assert going_on.reason is not None and going_on.reason.startswith("the time was enough for 1 of the ")
    found = decide(runs, ended=True)
    assert (found.name, found.gain, found.reason) == ("trial-1", True, None)


def test_what_was_never_measured_with_the_baseline_gains_by_way_of_others_but_has_no_claim() -> None:
    alone = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [*(run(number, **alone) for number in range(1, 4)), *(run(n, trial_1=20.0, trial_2=24.0) for n in (4, 5))]
    found = decide(runs)
    ratio = found.finalists[1].ratio
    assert ratio is not None and ratio.estimate == pytest.approx(2.4, rel=0.01)
    assert [one.indirect for one in found.finalists] == [False, True, False]
    assert (found.name, found.gain, found.rivals) == ("trial-2", False, {"trial-2"})


def test_of_those_with_a_claim_the_best_wins_where_a_rival_without_one_dropped_them() -> None:
    """The second has a claim, too, and is the last of the two; neither is in the last runs."""
    wide = Finalists({"trial-3": THIRD, **FINALISTS.trials})
    runs = [run(number, **ALL) for number in range(1, 4)]
    runs += [run(number, trial_1=20.0, trial_3=30.0) for number in range(4, 6)]
    runs += [run(number, trial_3=30.0, trial_1_again=20.0) for number in range(6, 9)]
    assert (decide(runs, finalists=wide).name, decide(runs, finalists=wide).gain) == ("trial-3", False)
    found = decide(runs, finalists=wide, ended=True)
    assert (found.name, found.gain, found.reason) == ("trial-1", True, None)


def test_one_that_fails_after_its_claim_is_none_to_stop_for() -> None:
    runs = [run(number, **ALL) for number in range(1, 4)]
    runs += [run(number, trial_1=None, trial_2=15.0) for number in (4, 5)]
    found = decide(runs, ended=True)
    assert (found.name, found.gain, found.reason) == ("trial-2", True, None)


def test_as_long_as_a_gain_is_open_the_baseline_goes_on_and_is_looked_at_seldom() -> None:
    runs = swinging(12, 0.08, trial_1=0.07, trial_1_again=0.07, trial_2=-0.5)
    found = decide(runs[:6])
    assert (found.name, found.gain, found.reason) == (BASELINE, False, None)
    assert all(BASELINE in until_claimed()(runs[:count]) for count in range(1, 12))
    assert decide(runs[:10]).gain and not decide(runs[:10]).settled
    assert until_claimed()(runs) == set()


@pytest.mark.parametrize("rates", [{**ALL, "baseline": None}, {**ALL, "baseline": 30.0}])
def test_without_a_question_nothing_is_measured(rates: dict[str, float | None]) -> None:
    """The baseline fails, or nothing else is left in the running."""
    assert until_claimed()([run(number, **rates) for number in range(1, 4)]) == set()


# --------------------------------------------------------------------------------------------- the choice among equals


def latency(p50_ms: float) -> Latency:
    return Latency(calls=10, p50_ms=p50_ms, p90_ms=p50_ms, p95_ms=p50_ms, p99_ms=p50_ms)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (result(1, config(batch_size=2, backend="onnxruntime"), rates=(20, 20)), {}),
        ({"latency": latency(60)}, {"latency": latency(50)}),
        ({"latency": latency(50), "peak_rss_bytes": 300}, {"latency": latency(50), "peak_rss_bytes": 200}),
        ({}, {"latency": latency(50)}),
    ],
    ids=["fewest changes", "lowest latency", "least memory", "what is known"],
)
def test_of_equals_the_simplest_wins_then_the_gentlest_then_the_smallest(
    first: TrialResult | dict[str, Any], second: dict[str, Any]
) -> None:
    if isinstance(first, dict):
        first = result(1, config(batch_size=2), rates=(20, 20), **first)
    trials = {"trial-1": first, "trial-2": result(2, config(batch_size=4), rates=(15, 15), **second)}
    finalists = Finalists(trials | {BASELINE: FINALISTS.trials[BASELINE]})
    level = [run(number, **ALL | {"trial_2": 19.8}) for number in range(1, 4)]
    assert decide(level, finalists=finalists).name == "trial-2"
    behind = [run(number, **ALL | {"trial_2": 19.0}) for number in range(1, 4)]
    assert decide(behind, finalists=finalists).name == "trial-1"


def test_one_that_may_be_as_good_is_chosen_only_if_it_seems_so() -> None:
    """Neither is told from the leader: one lies 0.5 % behind, the other 1 %."""
    heavy = result(1, config(batch_size=2, backend="onnxruntime"), rates=(20, 20))
    finalists = Finalists({**FINALISTS.trials, "trial-1": heavy})
    for behind, name in ((0.005, "trial-2"), (0.01, "trial-1")):
        runs = swinging(6, 0.1, trial_2=math.log(2) - behind)
        found = decide(runs, finalists=finalists)
        assert (found.finalists[1].verdict, found.name) == ("undecided", name)


def test_where_all_finalists_equal_the_baseline_it_stays() -> None:
    runs = [run(number, **dict.fromkeys(ALL, 10.0 + number / 10)) for number in range(1, 7)]
    found = decide(runs)
    assert (found.name, found.gain, found.reason, found.settled) == (BASELINE, False, None, True)
    assert until_claimed()(runs) == set()


def test_before_there_is_a_claim_the_best_so_far_leads() -> None:
    found = decide([run(1, **ALL)])
    assert (found.name, found.gain) == ("trial-1", False) and found.reason is not None
    assert [one.verdict for one in found.finalists] == [None, "faster", "faster"]
    nothing = decide([])
    assert (nothing.name, nothing.gain) == (BASELINE, False) and nothing.reason is not None


def test_a_leader_that_is_soon_dropped_leaves_no_noise_floor() -> None:
    """Two runs of it and its repeat say too little: the gain of another is not held to them."""
    noisy = [run(1, **ALL | {"trial_1": 11.0, "trial_1_again": 8.0}), run(2, **ALL | {"trial_1": 9.0})]
    rest = {name: rate for name, rate in ALL.items() if not name.startswith("trial_1")}
    found = decide([*noisy, *(run(number, **rest) for number in range(3, 7))])
    assert (found.name, found.gain, found.noise_floor) == ("trial-2", True, None)
    assert decide([run(number, **ALL) for number in range(1, 4)]).noise_floor == pytest.approx(0, abs=1e-9)


def test_of_equals_one_that_is_shown_to_gain_goes_before_a_simpler_one_that_is_not() -> None:
    heavy = result(1, config(batch_size=2, backend="onnxruntime"), rates=(20, 20))
    finalists = Finalists({**FINALISTS.trials, "trial-1": heavy})
    runs = swinging(6, 0.06, trial_2=0.03)
    steady = [run.candidates["trial-2"] for run in swinging(6, 0.0, trial_2=0.05)]
    runs = [
        msgspec.structs.replace(one, candidates=one.candidates | {"trial-1": fast, "trial-1-again": fast})
        for one, fast in zip(runs, steady, strict=True)
    ]
    found = decide(runs, finalists=finalists)
    assert [one.ratio is not None and (one.ratio.low or 0) > 1 for one in found.finalists] == [True, False, False]
    assert found.finalists[1].verdict == "undecided"
    assert (found.name, found.gain) == ("trial-1", True)
