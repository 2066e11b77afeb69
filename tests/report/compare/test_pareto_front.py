from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Candidate, TrialResult
from autotune.report.compare.comparison_types import Front
from autotune.report.compare.groups import compare
from tests.report.folders import FAST
from tests.report.made import config, confirmation, keep_latencies, keep_run, numbered, result, winner
from tests.report.tuned import prices, study, timed


def trial(number: int, rate: float, p50_ms: float, calls: int = 500) -> TrialResult:
    """One that differs from the others in its batch size."""
    return timed(result(number, config("onnxruntime", 2**number), rates=(rate, rate)), p50_ms, calls)


def front(folder: Path, one: list[TrialResult], other: list[TrialResult], claimed: bool = False) -> Front | None:
    """Of two machines, one at 0.36 an hour, one at twice that."""
    path = prices(folder, toy_large=0.36, toy_small=0.72)
    found = confirmation(winner(config("onnxruntime", 1), folders=("confirmation/f/1/winner",))) if claimed else None
    studies = [study(folder / "cheap", one, found), study(folder / "dear", other, kind="toy.small")]
    return compare(studies, path).groups[0].front


def test_the_front_is_over_all_studies_the_cheapest_first(tmp_path: Path) -> None:
    found = front(
        tmp_path, [trial(0, 40, 50), trial(1, 20, 30), trial(2, 10, 60)], [trial(0, 40, 20), trial(1, 30, 25)]
    )
    assert found is not None
    assert (found.latency, found.candidates, found.left_out) == ("latency_p99_ms", 5, 0)
    points = [(one.study, one.trial, one.latency_ms) for one in found.points]
    assert points == [("cheap", 0, 100.0), ("dear", 0, 40.0)]
    costs = [one.cost_per_million for one in found.points]
    assert costs[0] > 2.5, "the best of three windows is flattered"
    assert costs[1] == pytest.approx(5.0)
    assert not any(one.confirmed for one in found.points)


def test_a_percentile_is_one_that_half_of_all_back(tmp_path: Path) -> None:
    one = [trial(0, 40, 50, calls=20), trial(1, 20, 30, calls=20), trial(2, 15, 20, calls=3)]
    found = front(tmp_path, one, [trial(0, 40, 20)])
    assert found is not None
    assert (found.latency, found.candidates, found.left_out) == ("latency_p50_ms", 4, 1)
    assert [(found.points[0].study, found.points[0].latency_ms), found.points[-1].latency_ms] == [("cheap", 50.0), 20.0]


def test_a_confirmed_winner_takes_the_place_of_its_trial(tmp_path: Path) -> None:
    run = {"winner": Candidate(config=config("onnxruntime", 1), blocks=numbered((40,)))}
    keep_run(tmp_path / "cheap", "confirmation/f/1", run)
    keep_latencies(tmp_path / "cheap" / "confirmation/f/1/winner", [(0, 0, 70_000_000, 500)])
    found = front(tmp_path, [trial(0, 99, 1)], [trial(0, 40, 20)], claimed=True)
    assert found is not None
    (cheap, dear) = found.points
    assert (cheap.study, cheap.confirmed, cheap.latency_ms) == ("cheap", True, 70.0)
    assert cheap.cost_per_million == pytest.approx(2.5)
    assert (dear.study, dear.confirmed) == ("dear", False)


def test_what_breaks_a_limit_or_failed_is_not_on_the_front(tmp_path: Path) -> None:
    beyond = msgspec.structs.replace(trial(1, 99, 1), feasible=False)
    found = front(tmp_path, [trial(0, 40, 50), beyond, result(2, FAST)], [trial(0, 40, 20)])
    assert found is not None and found.candidates == 2


def test_without_latencies_there_is_no_front(tmp_path: Path) -> None:
    assert front(tmp_path, [trial(0, 40, 50, calls=2)], [trial(0, 40, 20, calls=2)]) is None
