from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autotune.report.page.plots import latencies
from tests.report.folders import FAST, full, keep
from tests.report.made import keep_latencies, result


def test_a_finalists_line_is_the_share_of_its_calls(tmp_path: Path) -> None:
    found = latencies.figure(full(tmp_path))
    assert found is not None
    (line,) = found.data
    assert line.name == "onnxruntime float32, batch 8, 1x2<br>(100\N{NO-BREAK SPACE}calls)"
    assert line.x[0] == pytest.approx(1.0) and line.x[-1] == pytest.approx(1.99)
    assert (np.diff(line.x) >= 0).all() and (np.diff(line.y) < 0).all()
    median = line.x[np.searchsorted(-line.y, -0.5)]
    assert median == pytest.approx(1.5, abs=0.02)


def test_before_a_confirmation_the_best_trials_stand_for_the_finalists(tmp_path: Path) -> None:
    study = keep(tmp_path, [result(0, rates=(10, 10)), result(1, FAST, rates=(40, 40))])
    assert latencies.figure(study) is None
    for number, ms in ((0, 9), (1, 2)):
        keep_latencies(tmp_path / f"trials/{number:05d}", [(0, 0, ms * 1_000_000, 50)])
    found = latencies.figure(study)
    assert found is not None
    assert ["(baseline)" in line.name for line in found.data] == [False, True]
    assert [line.x[-1] for line in found.data] == [2.0, 9.0]
