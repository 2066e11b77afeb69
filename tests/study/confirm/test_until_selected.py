from __future__ import annotations

import pytest

from autotune.core.rules import ConfirmRules
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.until_selected import UntilSelected, UntilWinnerClaimed
from tests.study.confirm.finalist_runs import ALL, CONFIGS, FINALISTS, RULES, THIRD, decide, run, until_claimed

THREE = Finalists({"trial-3": THIRD, **FINALISTS.trials})
SELECTED = UntilSelected(RULES, decide)
WINNER_CLAIMED = UntilWinnerClaimed(decide)


def test_first_all_are_measured_with_the_baseline_and_the_repeat_until_one_has_a_claim() -> None:
    """The repeat as long as the leader's gain of 1.25 may be noise; another finalist until it is behind for sure."""
    runs = [run(number, **ALL | {"baseline": 16.0}) for number in range(1, 4)]
    assert until_claimed()([]) == set(CONFIGS)
    assert until_claimed()(runs[:2]) == {"trial-1", BASELINE, "trial-1-again"}
    assert until_claimed()(runs) == set()


def test_a_gain_that_is_shown_to_be_large_needs_no_repeat() -> None:
    runs = [run(number, **ALL) for number in range(1, 4)]
    assert until_claimed()(runs[:2]) == {"trial-1", BASELINE}
    assert decide(runs, ended=True).gain


def test_a_rival_that_has_no_claim_yet_does_not_keep_the_baseline() -> None:
    runs = [run(number, **ALL | {"trial_2": 19.6 * (1.05 if number % 2 else 1 / 1.05)}) for number in range(1, 4)]
    assert until_claimed()(runs) == set()
    assert SELECTED(runs) == {"trial-1", "trial-2"}


def test_rivals_of_which_none_is_likely_to_be_better_by_what_matters_need_no_more_runs() -> None:
    late = ConfirmRules()
    runs = [run(number, **ALL | {"trial_2": 20.05 if number % 2 else 19.9}) for number in range(1, 4)]
    assert decide(runs, rules=late).rivals == {"trial-1", "trial-2"}
    assert SELECTED(runs) == set()


def test_a_rival_that_is_behind_for_sure_is_measured_no_more() -> None:
    """Of two that trail the best the one that swings is not behind for sure, and may be better by what matters."""
    late = ConfirmRules()
    rule = UntilSelected(late, lambda runs: decide(runs, rules=late, finalists=THREE))
    rates = {"trial_1": 20.0, "trial_2": 19.5, "trial_1_again": 20.0, "baseline": 10.0}
    runs = [run(number, **rates, trial_3=19.9 * (1.08 if number % 2 else 1 / 1.08)) for number in range(1, 7)]
    assert decide(runs, rules=late, finalists=THREE).rivals == {"trial-1", "trial-2", "trial-3"}
    assert rule(runs) == {"trial-1", "trial-3"}


def test_a_run_in_which_the_best_failed_is_made_good() -> None:
    runs = [run(1, **ALL), run(2, **ALL), run(3, **{**ALL, "trial_1": None})]
    assert until_claimed()(runs) == SELECTED(runs) == set()
    assert WINNER_CLAIMED(runs) == {"trial-1", BASELINE}


def test_what_has_a_claim_stays_until_the_best_is_linked_to_it() -> None:
    """The best was never measured with the baseline, and is ahead for sure after a run."""
    alone = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [run(number, **alone) for number in range(1, 4)]
    for number in range(4, 7):
        assert SELECTED(runs) == {"trial-1", "trial-2"}
        runs.append(run(number, trial_1=20.0, trial_2=30.0))
    assert SELECTED(runs) == set()
    found = decide(runs, ended=True)
    assert (found.name, found.gain, found.claimed) == ("trial-1", True, {"trial-1"})  # until the other is checked


def test_a_linked_claim_is_checked_once_against_the_baseline() -> None:
    """A baseline that is faster by now takes the claim away, until it is measured as often as any."""
    alone = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [run(number, **alone) for number in range(1, 4)]
    runs += [run(number, trial_1=20.0, trial_2=30.0) for number in range(4, 7)]
    assert WINNER_CLAIMED(runs) == {"trial-2", BASELINE}
    same = decide([*runs, run(7, trial_2=30.0, baseline=10.0)], ended=True)
    assert same.gain and same.finalists[1].indirect and same.rates.ratio("trial-2", BASELINE) is not None
    assert WINNER_CLAIMED([*runs, run(7, trial_2=30.0, baseline=10.0)]) == set()
    for number in range(7, 10):
        assert WINNER_CLAIMED(runs) == {"trial-2", BASELINE}
        runs.append(run(number, trial_2=30.0, baseline=15.0))
        assert decide(runs, ended=True).gain == (number == 9)
    found = decide(runs, ended=True)
    ratio = found.rates.ratio("trial-2", BASELINE)
    assert WINNER_CLAIMED(runs) == set() and found.name == "trial-2"
    assert ratio is not None and ratio.estimate == pytest.approx(2, rel=0.01)


def test_a_claim_whose_link_was_refuted_is_none() -> None:
    """The baseline is as fast as the winner by now, and faster than what had a claim."""
    alone = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [run(number, **alone) for number in range(1, 4)]
    runs += [run(number, trial_1=20.0, trial_2=30.0) for number in range(4, 7)]
    runs += [run(number, trial_2=30.0, baseline=33.0) for number in (7, 8)]
    found = decide(runs, ended=True)
    assert not found.gain and found.claimed == frozenset()


def test_where_the_baseline_wins_nothing_is_selected() -> None:
    level = [run(number, **dict.fromkeys(ALL, 10.0 + number / 10)) for number in range(1, 7)]
    assert SELECTED(level) == set() and WINNER_CLAIMED(level) == set()


def test_a_winner_without_a_claim_is_measured_with_the_baseline_until_it_has_one() -> None:
    alone = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [run(number, **alone) for number in range(1, 4)]
    assert WINNER_CLAIMED(runs) == set()
    runs += [run(number, trial_1=20.0, trial_2=24.0) for number in (4, 5)]
    for number in range(6, 9):
        assert WINNER_CLAIMED(runs) == {"trial-2", BASELINE}
        runs.append(run(number, trial_2=24.0, baseline=10.0))
    assert WINNER_CLAIMED(runs) == set()
    found = decide(runs, ended=True)
    assert (found.name, found.gain) == ("trial-2", True)


def test_that_an_earlier_claim_is_lost_meanwhile_does_not_end_the_winners_runs() -> None:
    """Its runs with the baseline show more noise than those that the claim of another was made from."""
    without = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    runs = [run(number, **without) for number in range(1, 4)]
    assert decide(runs, ended=True).gain
    runs.append(run(4, trial_1=20.0, trial_2=24.0))
    runs += [run(number, trial_2=24.0 * by, baseline=10.0) for number, by in ((5, 1.5), (6, 1 / 1.5))]
    assert not decide(runs, ended=True).gain
    assert WINNER_CLAIMED(runs) == {"trial-2", BASELINE}
