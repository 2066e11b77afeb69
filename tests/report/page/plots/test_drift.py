from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.report.page.plots import drift
from tests.report.folders import keep, sensed
from tests.report.made import result


def test_a_mark_a_trial_for_each_computation(tmp_path: Path) -> None:
    found = drift.figure(keep(tmp_path, [sensed(result(i, rates=(10, 10)), 2.0**i) for i in range(3)]))
    assert found is not None
    assert [line.name for line in found.data] == ["compute", "memory", "scalar"]
    for line in found.data:
        assert list(line.y) == pytest.approx([50, 100, 200])
        assert list(line.x) == [0, 1, 2]


@pytest.mark.parametrize(("ended", "at", "unit"), [("02T10:00", 24, "hours"), ("01T10:03", 3, "minutes")])
def test_dated_trials_are_where_they_began(tmp_path: Path, ended: str, at: int, unit: str) -> None:
    results = [
        msgspec.structs.replace(sensed(result(i, rates=(10, 10))), started=f"2026-01-{began}:00.123456+00:00")
        for i, began in enumerate(("01T10:00", ended))
    ]
    found = drift.figure(keep(tmp_path, results))
    assert found is not None
    assert list(found.data[0].x) == [0, at]
    assert found.layout.xaxis.title.text == f"{unit} since the first trial began"
    assert list(found.data[0].customdata) == [0, 1]


def test_without_a_canary_there_is_no_plot(tmp_path: Path) -> None:
    assert drift.figure(keep(tmp_path, [result(0, rates=(10, 10)), result(1)])) is None
