from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.results import Status
from autotune.report.page.plots import rates
from tests.report.folders import FAST, keep, many
from tests.report.made import PLAIN, result


def test_marks_have_intervals_and_those_that_cannot_win_are_hollow(tmp_path: Path) -> None:
    results = [
        result(0, PLAIN, (10, 10.1, 9.9)),
        result(1, FAST, (40, 40.4, 39.6)),
        result(2, FAST, (3, 3.1), status=Status.REJECTED),
        result(3, FAST, (50, 51), feasible=False),
        result(4, FAST),
    ]
    found = rates.figure(keep(tmp_path, results))
    assert found is not None
    highest, onnxruntime, plain = found.data
    assert (highest.name, onnxruntime.name, plain.name) == ("highest so far", "onnxruntime", "torch_eager")
    assert list(onnxruntime.x) == [1, 2, 3]
    assert list(onnxruntime.y) == pytest.approx([40, 3.05, 50.5], rel=0.01)
    assert list(onnxruntime.marker.symbol) == ["circle", "circle-open", "circle-open"]
    assert min(onnxruntime.error_y.array) > 0 and min(onnxruntime.error_y.arrayminus) > 0
    assert list(highest.x) == [0, 1, 3] and list(highest.y) == pytest.approx([10, 40, 40])


def test_a_trial_of_one_block_has_no_interval(tmp_path: Path) -> None:
    found = rates.figure(keep(tmp_path, [result(0, PLAIN, (10,))]))
    assert found is not None
    assert list(found.data[-1].error_y.array) == [0] and list(found.data[-1].error_y.arrayminus) == [0]


def test_there_is_none_before_anything_was_measured(tmp_path: Path) -> None:
    assert rates.figure(keep(tmp_path, [result(0, PLAIN)])) is None


def test_every_measured_trial_is_in_it(tmp_path: Path) -> None:
    found = rates.figure(keep(tmp_path, many(30)))
    assert found is not None
    assert sorted(number for marks in found.data[1:] for number in marks.x) == list(range(29))
