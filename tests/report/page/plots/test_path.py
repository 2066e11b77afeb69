from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.confirmation import Step
from autotune.report.page.plots import path
from tests.report.folders import FAST, HOSTILE, keep
from tests.report.made import confirmation, estimate, result, winner


def test_each_step_is_named_and_has_its_interval(tmp_path: Path) -> None:
    steps = (
        Step(settings={"backend": "onnxruntime"}, ratio=estimate(2.0), total=estimate(2.0, 0.1)),
        Step(settings={"batch_size": 8, "allocator": HOSTILE}, ratio=estimate(2.0), total=estimate(3.0, 0.2)),
        Step(settings={"numa": "bind"}, ratio=estimate(9.0, 0.1), total=estimate(9.0, 0.1), runs=1),
        Step(settings={"layout": "2x1"}, ratio=None, total=None),
    )
    found = path.figure(keep(tmp_path, [result(0, rates=(10,))], confirmation(winner(FAST), path=steps)))
    assert found is not None
    (line,) = found.data
    assert list(line.x) == [1.0, 2.0, 3.0, 4.0]
    assert line.y[:2] == ("the baseline", "+ backend onnxruntime")
    assert line.y[3] == "+ layout 2x1"
    assert line.y[2].startswith("+ batch_size 8, allocator ") and "<" not in line.y[2]
    assert list(line.error_x.array) == pytest.approx([0, 0.1, 0.2, 0.1])
    assert list(line.error_x.arrayminus) == pytest.approx([0, 0.1, 0.2, 0.1])


def test_there_is_none_without_a_way(tmp_path: Path) -> None:
    assert path.figure(keep(tmp_path, [result(0, rates=(10,))])) is None
    assert path.figure(keep(tmp_path, [result(0, rates=(10,))], confirmation(winner(FAST)))) is None
