from __future__ import annotations

import msgspec

from autotune.study.confirm import elimination
from autotune.study.confirm.names import BASELINE
from tests.study.confirm.finalist_runs import (
    ALL,
    ANY,
    NAMES,
    RULES,
    run,
)

CLOSE = {**ALL, "trial_2": 19.0, "baseline": 18.0}


def test_in_one_run_only_what_is_far_behind_is_dropped() -> None:
    assert elimination.remaining([run(1, **CLOSE)], NAMES, RULES, ANY) == set(NAMES)
    assert elimination.remaining([run(1, **ALL)], NAMES, RULES, ANY) == {"trial-1"}


def test_what_is_behind_for_sure_is_dropped_before_the_first_stage_is_over() -> None:
    late = msgspec.structs.replace(RULES, first_stage=100)
    runs = [run(number, **{**CLOSE, "trial_2": rate}) for number, rate in enumerate((19.0, 19.2, 18.9), start=1)]
    assert elimination.remaining(runs[:1], NAMES, late, ANY) == set(NAMES)
    assert elimination.remaining(runs, NAMES, late, ANY) == {"trial-1"}


def test_one_that_was_dropped_does_not_come_back() -> None:
    few = {name: ALL[name] for name in ("trial_1", "baseline")}
    noisy = [run(1, **CLOSE), run(2, **few | {"trial_1": 9.0}), run(3, **few | {"trial_1": 11.0})]
    assert elimination.remaining(noisy, NAMES, RULES, ANY) == {"trial-1", BASELINE}


def test_one_that_was_dropped_comes_back_where_what_was_before_it_fails() -> None:
    """The leader crashes twice: the claim is open to the second, and the third is still too slow."""
    without = {name: rate for name, rate in ALL.items() if name != "trial_2"}
    fails = {**without, "trial_1": None}
    runs = [run(1, **{**ALL, "baseline": 14.0}), run(2, **fails), run(3, **fails)]
    assert elimination.remaining(runs[:2], NAMES, RULES, ANY) == {"trial-1"}
    assert elimination.remaining(runs, NAMES, RULES, ANY) == {"trial-2", BASELINE}


def test_before_a_claim_has_its_runs_none_is_dropped_for_the_baseline() -> None:
    runs = [run(number, **ALL | {"baseline": 40.0}) for number in range(1, 4)]
    many = msgspec.structs.replace(RULES, first_stage=100)
    assert elimination.remaining(runs[:1], NAMES, many, ANY) == set(NAMES)
    assert elimination.remaining(runs[:2], NAMES, many, ANY) == set(NAMES)
    assert elimination.remaining(runs, NAMES, many, ANY) == {BASELINE}


def test_one_that_was_never_measured_may_still_win() -> None:
    """The third joins after the others' runs, whatever was dropped in them; what was dropped does not come back."""
    few = {name: ALL[name] for name in ("trial_1", "baseline")}
    runs = [run(1, **CLOSE), *(run(number, **few | {"baseline": 18.0}) for number in (2, 3))]
    assert elimination.remaining(runs, NAMES, RULES, ANY) == {"trial-1"}
    assert elimination.remaining(runs, [*NAMES, "trial-3"], RULES, ANY) == {"trial-1", "trial-3"}
