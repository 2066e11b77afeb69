from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from autotune.results import Canary, Status, TrialResult
from autotune.study.ranking import Ranking
from autotune.types import TrialSpec
from tests.study.fakes import WORKLOAD, machine, measured, plain

HW = machine()


def result(number: int, rate: float, *, status: Status = Status.OK, feasible: bool = True) -> TrialResult:
    spec = TrialSpec(id=number, workload=WORKLOAD, config=plain(HW, number + 1), folder=f"trials/{number:05}")
    return measured(spec, rate, status=status, feasible=feasible)


def test_rate_is_the_geometric_mean_of_the_blocks() -> None:
    found = result(0, 4.0)
    (block, _) = found.blocks
    mixed = msgspec.structs.replace(found, blocks=(block, msgspec.structs.replace(block, items=9.0)))
    assert Ranking([mixed]).rate(mixed) == pytest.approx(6.0)


def test_only_complete_and_feasible_trials_can_be_best() -> None:
    results = [
        result(0, 10.0),
        result(1, 30.0, status=Status.REJECTED),
        result(2, 40.0, feasible=False),
        msgspec.structs.replace(result(3, 1.0, status=Status.CRASHED), blocks=()),
        result(4, 20.0),
        result(5, 20.0),
    ]
    ranking = Ranking(results)
    assert [found.spec.id for found in ranking.order()] == [4, 5, 0]
    assert ranking.best is results[4]
    assert ranking.incumbent == pytest.approx(20.0)
    assert Ranking(results[1:4]).best is None
    assert Ranking([]).incumbent is None


def test_the_baseline_is_the_trial_that_measured_it() -> None:
    failed = msgspec.structs.replace(result(0, 1.0, status=Status.CRASHED), blocks=())
    good = msgspec.structs.replace(result(3, 5.0), spec=msgspec.structs.replace(failed.spec, id=3))
    assert Ranking([failed, result(1, 9.0), good]).baseline(plain(HW)) is good
    assert Ranking([failed, result(1, 9.0)]).baseline(plain(HW)) is None


def drifting(number: int, rate: float, speeds: Sequence[float]) -> TrialResult:
    """A trial of which every block follows the machine's speed, as its canary does."""
    (block, _) = (found := result(number, rate)).blocks
    blocks = tuple(
        msgspec.structs.replace(
            block, items=rate * speed, canary=Canary(cores=1, compute=speed, memory=speed, scalar=speed)
        )
        for speed in speeds
    )
    return msgspec.structs.replace(found, blocks=blocks)


def test_a_slow_machine_is_no_slow_trial() -> None:
    draw = random.Random(0)
    usual = [drifting(i, 10.0 + i, [draw.uniform(0.8, 1.25) for _ in range(12)]) for i in range(5)]
    slowed = drifting(5, 30.0, [draw.uniform(0.4, 0.6) for _ in range(12)])
    ranking = Ranking([*usual, slowed])
    assert ranking.best is slowed
    assert Ranking([slowed]).rate(slowed) < 20
    assert ranking.ratio(slowed, usual[0]).estimate == pytest.approx(3, rel=0.1)
    assert ranking.interval(slowed).estimate == ranking.rate(slowed)


def test_two_windows_have_a_ratio_with_an_interval() -> None:
    base, fast = result(0, 10.0), result(1, 25.0)
    found = Ranking([base, fast]).ratio(fast, base)
    assert (found.estimate, found.low, found.high) == pytest.approx((2.5, 2.5, 2.5))
