from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.results import Status
from autotune.report.page.plots import failures
from tests.report.folders import HOSTILE, keep
from tests.report.made import config, result


def test_what_failed_trials_have_in_common_comes_first(tmp_path: Path) -> None:
    int8, plain = config("openvino", 8, {"precision": "int8"}), config("openvino", 8, {"precision": "float32"})
    results = [
        result(0, config(), (10, 10)),
        result(1, int8, status=Status.TIMEOUT, error="slow"),
        result(2, int8),
        result(3, plain, (20, 20)),
        result(4, config(batch_size=8), (11, 11)),
    ]
    found = failures.figure(keep(tmp_path, results))
    assert found is not None
    crashed, timeout = found.data
    assert (crashed.name, timeout.name) == ("crashed", "timeout")
    labels = list(crashed.y)
    assert labels[0] == "openvino.precision int8 (2 of 2)"
    assert crashed.x[0] == timeout.x[0] == 50
    assert "batch_size 8 (2 of 4)" in labels and "backend openvino (2 of 3)" in labels
    assert not any(label.startswith("layout") for label in labels), "what never varies explains nothing"
    both = [sum(shares) for shares in zip(crashed.x, timeout.x, strict=True)]
    assert both == sorted(both, reverse=True) and both[labels.index("batch_size 8 (2 of 4)")] == pytest.approx(50)


def test_names_are_text(tmp_path: Path) -> None:
    found = failures.figure(
        keep(tmp_path, [result(0, rates=(10, 10)), result(1, config(allocator=HOSTILE))]),
    )
    assert found is not None
    assert all("<" not in label for label in found.data[0].y)


def test_no_failure_no_plot(tmp_path: Path) -> None:
    assert failures.figure(keep(tmp_path, [result(0, rates=(10, 10)), result(1, config(batch_size=8), (9, 9))])) is None
