from __future__ import annotations

import math
from pathlib import Path

import pytest

from autotune.core.confirmation import Ablation
from autotune.report.page.plots import ablation
from tests.report.folders import FAST, HOSTILE, keep
from tests.report.made import confirmation, estimate, result, winner

RESULTS = (result(0, rates=(10, 10)), result(1, FAST, rates=(40, 40)))


def test_a_bar_a_setting_the_most_worth_first(tmp_path: Path) -> None:
    found = confirmation(
        winner(FAST),
        ablations=(
            Ablation(setting="batch_size", value=8, instead=1, ratio=estimate(0.75, 0.5), removed=True),
            Ablation(setting="layout", value="2x1", instead="1x2", ratio=estimate(9.0, 1.0), runs=1),
            Ablation(setting="numa", value="bind", instead="default", ratio=estimate(0.5, 0.1)),
            Ablation(setting="backend", value="onnxruntime", instead="torch_eager", ratio=estimate(4.0, 1.0)),
            Ablation(setting="allocator", value="x", instead="system", ratio=None, error="it broke"),
        ),
    )
    plot = ablation.figure(keep(tmp_path, RESULTS, found))
    assert plot is not None
    (bar,) = plot.data
    assert list(bar.y) == ["backend onnxruntime<br>instead of torch_eager", "batch_size 8<br>instead of 1"]
    assert list(bar.x) == pytest.approx([2.0, math.log2(0.75)])
    assert list(bar.error_x.array) == pytest.approx([math.log2(5 / 4), math.log2(5 / 3)])
    assert list(bar.error_x.arrayminus) == pytest.approx([math.log2(4 / 3), math.log2(3)])
    assert list(plot.layout.xaxis.ticktext) == ["0.125x", "0.25x", "0.5x", "1x", "2x", "4x", "8x"]
    (band,) = plot.layout.shapes
    assert 2**band.x1 == pytest.approx(math.exp(0.012))


def test_names_are_text(tmp_path: Path) -> None:
    hostile = Ablation(setting="allocator", value=HOSTILE, instead="system", ratio=estimate(2.0, 0.1))
    plot = ablation.figure(keep(tmp_path, RESULTS, confirmation(winner(FAST), ablations=(hostile,))))
    assert plot is not None and "<" not in plot.data[0].y[0].replace("<br>", "")


def test_without_a_confirmation_or_a_measurement_there_is_no_plot(tmp_path: Path) -> None:
    assert ablation.figure(keep(tmp_path / "a", RESULTS)) is None
    failed = Ablation(setting="batch_size", value=8, instead=1, ratio=None, error="it broke")
    assert ablation.figure(keep(tmp_path / "b", RESULTS, confirmation(winner(FAST), ablations=(failed,)))) is None
