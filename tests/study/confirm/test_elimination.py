from __future__ import annotations

import msgspec
import pytest

from autotune.study.confirm import elimination
from autotune.study.confirm.elimination import UntilSelected
from autotune.study.confirm.names import BASELINE
from tests.study.confirm.finalist_runs import (
    ALL,
    ANY,
    CONFIGS,
    FINALISTS,
    NAMES,
    RULES,
    run,
)


def test_nobody_is_dropped_before_the_first_stage_is_over() -> None:
    assert elimination.remaining([run(1, **ALL)], NAMES, RULES, ANY) == set(NAMES)
    assert elimination.remaining([run(1, **ALL), run(2, **ALL)], NAMES, RULES, ANY) == {"trial-1"}


def test_one_that_was_dropped_never_comes_back() -> None:
    few = {name: ALL[name] for name in ("trial_1", "baseline")}
    late = msgspec.structs.replace(RULES, first_stage=100)
    assert elimination.remaining([run(1, **ALL), run(2, **few)], NAMES, late, ANY) == {
        "trial-1",
        BASELINE,
    }


def test_the_winner_and_the_baseline_are_measured_until_a_claim_has_its_runs() -> None:
    running = UntilSelected(FINALISTS, RULES, ANY)
    assert running([]) == set(CONFIGS)
    runs = [run(number, **ALL) for number in range(1, RULES.runs)]
    assert running(runs) == {"trial-1", BASELINE, "trial-1-again"}
    assert running([*runs, run(RULES.runs, **ALL)]) == set()


def test_a_run_in_which_the_winner_failed_does_not_count() -> None:
    runs = [run(number, **ALL) for number in range(1, RULES.runs)]
    assert UntilSelected(FINALISTS, RULES, ANY)([*runs, run(RULES.runs, **{**ALL, "trial_1": None})])


@pytest.mark.parametrize("rates", [{**ALL, "baseline": None}, {**ALL, "baseline": 30.0}])
def test_without_a_question_nothing_is_measured(rates: dict[str, float | None]) -> None:
    """The baseline fails, or nothing else is left in the running."""
    assert UntilSelected(FINALISTS, RULES, ANY)([run(1, **rates), run(2, **rates)]) == set()
