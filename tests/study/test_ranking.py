from __future__ import annotations

import msgspec
import pytest

from autotune.results import Status, TrialResult
from autotune.study import ranking
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
    assert ranking.rate(mixed) == pytest.approx(6.0)


def test_only_complete_and_feasible_trials_can_be_best() -> None:
    results = [
        result(0, 10.0),
        result(1, 30.0, status=Status.REJECTED),
        result(2, 40.0, feasible=False),
        msgspec.structs.replace(result(3, 1.0, status=Status.CRASHED), blocks=()),
        result(4, 20.0),
        result(5, 20.0),
    ]
    best = ranking.best(results)
    assert best is not None and best.spec.id == 4
    assert ranking.incumbent(results) == pytest.approx(20.0)
    assert ranking.best(results[1:4]) is None
    assert ranking.incumbent([]) is None


def test_the_baseline_is_the_trial_that_measured_it() -> None:
    failed = msgspec.structs.replace(result(0, 1.0, status=Status.CRASHED), blocks=())
    good = msgspec.structs.replace(result(3, 5.0), spec=msgspec.structs.replace(failed.spec, id=3))
    assert ranking.baseline([failed, result(1, 9.0), good], plain(HW)) is good
    assert ranking.baseline([failed, result(1, 9.0)], plain(HW)) is None
