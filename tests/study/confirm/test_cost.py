from __future__ import annotations

import math

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.results import Block, TrialResult
from autotune.core.space_types import Budget, Space
from autotune.core.specs import TrialSpec
from autotune.study.confirm import cost
from autotune.study.ranking import Ranking
from tests.fake_executor import measured
from tests.study.confirm.confirming import CONFIRM, FIRST, HW, PLAIN, RULES, SECOND
from tests.study.fakes import WORKLOAD, resolved

SPACE = resolved(HW, minutes=10)


def trial(number: int, config: Config, rate: float, **fields: object) -> TrialResult:
    spec = TrialSpec(id=number, workload=WORKLOAD, config=config, folder="")
    return msgspec.structs.replace(measured(spec, rate), **fields)


def blocks(starts: list[float], block_s: float = 0.5) -> tuple[Block, ...]:
    return tuple(
        Block(start_ns=int(start * 1e9), elapsed_ns=int(block_s * 1e9), items=1, calls=1, cpu_ns=1) for start in starts
    )


def ranked(*results: TrialResult, space: Space = SPACE) -> Ranking:
    return Ranking(results, space.goal)


def predicted(ranking: Ranking, space: Space = SPACE) -> float | None:
    return cost.predicted(ranking, space, HW, RULES, CONFIRM)


BASE = trial(0, PLAIN, 10, setup_s=4.0)
FAST = trial(1, FIRST, 30, setup_s=10.0)


@pytest.mark.parametrize(
    ("starts", "repeats", "seconds"),
    [
        ([0.0, 0.0], [], 0.5),
        ([0.0, 0.7, 1.4], [], 0.7),  # the looks at the machine count
        ([0.0, 0.7, 1.4, 10.0], [], 0.7),  # a pause does not
        ([0.0, 1.0, 3.0], [2.0], 4 / 3),  # what is measured again does
    ],
)
def test_the_time_of_a_block(starts: list[float], repeats: list[float], seconds: float) -> None:
    first, *others = blocks(starts)
    result = trial(0, PLAIN, 1, warmup=(first,), blocks=tuple(others), repeated=blocks(repeats))
    assert cost.block_seconds(result) == pytest.approx(seconds)


def test_a_run_starts_all_side_by_side_and_has_a_block_more_than_its_rounds() -> None:
    """Two cores start 4, 10 and 10 s in 12 s; three blocks of a second each follow for each."""
    configs = [PLAIN, FIRST, FIRST]
    assert cost.run_seconds(configs, ranked(BASE, FAST), HW, 2, True) == pytest.approx(12 + 3 * 3)
    assert cost.run_seconds(configs, ranked(BASE, FAST), HW, 2, False) == pytest.approx(24 + 3 * 3)
    slow = msgspec.structs.replace(FAST, setup_s=50.0)
    assert cost.run_seconds([PLAIN, FIRST], ranked(BASE, slow), HW, 2, True) == pytest.approx(50 + 2 * 3)


def test_a_confirmation_has_a_doubtful_claim_the_fewest_runs_of_all_one_of_the_winner_and_an_explanation() -> None:
    """The finalist, the baseline and the finalist's repeat."""
    runs_s = (12 + (1 + CONFIRM.least_rounds) * 3) * (CONFIRM.sure_runs + CONFIRM.runs + 1)
    assert predicted(ranked(BASE, FAST)) == pytest.approx(runs_s / CONFIRM.finalists_share)


def test_what_does_not_fit_into_memory_is_started_one_by_one() -> None:
    large = msgspec.structs.replace(FAST, peak_rss_bytes=HW.usable_memory_bytes // 2)
    runs_s = (24 + (1 + CONFIRM.least_rounds) * 3) * (CONFIRM.sure_runs + CONFIRM.runs + 1)
    assert predicted(ranked(BASE, large)) == pytest.approx(runs_s / CONFIRM.finalists_share)


def test_each_trial_changes_the_prediction() -> None:
    slower = trial(2, SECOND, 60, setup_s=60.0)
    both, one = predicted(ranked(BASE, FAST, slower)), predicted(ranked(BASE, FAST))
    assert both is not None and one is not None and both > one


def test_nothing_is_predicted_before_there_is_something_to_confirm() -> None:
    failed = trial(1, FIRST, 30, feasible=False)
    assert predicted(ranked()) is predicted(ranked(BASE)) is predicted(ranked(BASE, failed)) is None
    served = msgspec.structs.replace(SPACE, objective="served_rate")
    assert predicted(ranked(BASE, FAST, space=served), served) is None


@pytest.mark.parametrize(
    ("minutes", "predicted_s", "seconds"),
    [(None, 100.0, 0.0), (10, None, 300.0), (10, 100.0, 100.0), (10, 250.0, 250.0), (10, 900.0, 300.0)],
)
def test_what_is_reserved_is_what_is_predicted_and_at_most_half(
    minutes: float | None, predicted_s: float | None, seconds: float
) -> None:
    assert math.isclose(cost.reserved(Budget(minutes=minutes), predicted_s, CONFIRM), seconds)


def test_after_a_claim_only_the_comparison_of_all_finalists_is_left() -> None:
    ranking = ranked(BASE, FAST)
    left = cost.predicted(ranking, SPACE, HW, RULES, CONFIRM, claimed=True)
    whole = predicted(ranking)
    assert left is not None and whole is not None
    assert left == pytest.approx(whole * (CONFIRM.runs + 1) / (CONFIRM.sure_runs + CONFIRM.runs + 1))
