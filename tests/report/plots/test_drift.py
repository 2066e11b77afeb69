from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.report.plots import drift
from tests.report.folders import keep, sensed
from tests.report.made import result


def test_a_mark_a_trial_for_each_computation(tmp_path: Path) -> None:
    found = drift.figure(keep(tmp_path, [sensed(result(i, rates=(10, 10)), 2.0**i) for i in range(3)]))
    assert found is not None
    assert [line.name for line in found.data] == ["compute", "memory", "scalar"]
    for line in found.data:
        assert list(line.y) == pytest.approx([50, 100, 200])
        assert list(line.x) == [0, 1, 2]


def test_dated_trials_are_where_they_began(tmp_path: Path) -> None:
    results = [
        msgspec.structs.replace(sensed(result(i, rates=(10, 10))), started=f"2026-01-0{i + 1}T10:00:00.123456+00:00")
        for i in range(2)
    ]
    found = drift.figure(keep(tmp_path, results))
    assert found is not None
    assert list(found.data[0].x) == [0, 24]
    assert list(found.data[0].customdata) == [0, 1]


def test_without_a_canary_there_is_no_plot(tmp_path: Path) -> None:
    assert drift.figure(keep(tmp_path, [result(0, rates=(10, 10)), result(1)])) is None
