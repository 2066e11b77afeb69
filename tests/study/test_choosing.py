from __future__ import annotations

import msgspec
import pytest

from autotune.results import Block, Seat, Sitting
from autotune.rules import ConfirmRules
from autotune.study import choosing
from autotune.study.choosing import BASELINE, Running
from autotune.types import SittingSpec
from tests.report.made import PLAIN, config, result
from tests.study.fakes import WORKLOAD

RULES = ConfirmRules(first_stage=4)
FINALISTS = {
    "trial-1": result(1, config(batch_size=2), rates=(20, 20)),
    "trial-2": result(2, config(batch_size=4), rates=(15, 15)),
    BASELINE: result(0, PLAIN, rates=(10, 10)),
}
CONFIGS = choosing.seats(FINALISTS)


def block(rate: float) -> Block:
    return Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9)


def sitting(number: int, **rates: float | None) -> Sitting:
    """Two rounds of slightly different blocks; None is a failure."""
    named = {name.replace("_", "-"): rate for name, rate in rates.items()}
    spec = SittingSpec(
        number=number,
        workload=WORKLOAD,
        configs={name: CONFIGS[name] for name in named},
        rounds=2,
        order="",
        folder=f"confirmation/a/{number:04d}",
    )
    seats = {
        name: Seat(config=CONFIGS[name], error="it broke")
        if rate is None
        else Seat(config=CONFIGS[name], blocks=(block(rate), block(rate * 1.001)))
        for name, rate in named.items()
    }
    return Sitting(spec=spec, seats=seats, start_s=1.0, wall_s=3.0, started="", fingerprint="")


ALL = {"trial_1": 20.0, "trial_2": 15.0, "baseline": 10.0, "trial_1_again": 20.0}


def test_the_leader_sits_twice() -> None:
    assert list(CONFIGS) == ["trial-1", "trial-2", BASELINE, "trial-1-again"]
    assert CONFIGS["trial-1"] == CONFIGS["trial-1-again"]


def test_nobody_is_dropped_before_the_first_stage_is_over() -> None:
    assert choosing.selected([sitting(1, **ALL)], list(FINALISTS), RULES) == set(FINALISTS)
    assert choosing.selected([sitting(1, **ALL), sitting(2, **ALL)], list(FINALISTS), RULES) == {"trial-1"}


def test_one_that_was_dropped_never_comes_back() -> None:
    few = {name: ALL[name] for name in ("trial_1", "baseline")}
    late = msgspec.structs.replace(RULES, first_stage=100)
    assert choosing.selected([sitting(1, **ALL), sitting(2, **few)], list(FINALISTS), late) == {"trial-1", BASELINE}


def test_the_winner_and_the_baseline_sit_until_a_claim_has_its_sittings() -> None:
    running = Running(FINALISTS, RULES)
    assert running([]) == set(CONFIGS)
    sittings = [sitting(number, **ALL) for number in range(1, RULES.sittings)]
    assert running(sittings) == {"trial-1", BASELINE, "trial-1-again"}
    assert running([*sittings, sitting(RULES.sittings, **ALL)]) == set()


def test_a_sitting_in_which_the_winner_failed_does_not_count() -> None:
    sittings = [sitting(number, **ALL) for number in range(1, RULES.sittings)]
    assert Running(FINALISTS, RULES)([*sittings, sitting(RULES.sittings, **{**ALL, "trial_1": None})])


@pytest.mark.parametrize("rates", [{**ALL, "baseline": None}, {**ALL, "baseline": 30.0}])
def test_without_a_question_nobody_sits(rates: dict[str, float | None]) -> None:
    """The baseline fails, or nothing else is left in the running."""
    assert Running(FINALISTS, RULES)([sitting(1, **rates), sitting(2, **rates)]) == set()
