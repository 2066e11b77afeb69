from __future__ import annotations

from pathlib import Path

import pytest

from autotune.report.page.plots import importances
from tests.report.folders import keep, many
from tests.report.made import config, result


def test_what_decides_comes_first_and_options_of_one_backend_are_kept(tmp_path: Path) -> None:
    found = importances.shares(keep(tmp_path, many(200)))
    assert next(iter(found)) in ("backend", "openvino.precision")
    assert "openvino.precision" in found and found["openvino.precision"] > found.get("allocator", 0.0)
    assert sum(found.values()) == pytest.approx(1.0)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_few_trials_or_nothing_that_varies_say_nothing(tmp_path: Path) -> None:
    assert importances.figure(keep(tmp_path / "few", many(10))) is None
    same = [result(i, config(), rates=(10 + i,)) for i in range(20)]
    assert importances.figure(keep(tmp_path / "same", same)) is None


def test_a_bar_a_setting(tmp_path: Path) -> None:
    study = keep(tmp_path, many())
    found = importances.figure(study)
    assert found is not None
    assert sum(found.data[0].x) == pytest.approx(100.0)
    assert list(found.data[0].y) == list(importances.shares(study))
