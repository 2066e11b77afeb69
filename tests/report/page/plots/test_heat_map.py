from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.results import Status
from autotune.report.page.plots import heat_map
from tests.report.folders import keep
from tests.report.made import config, result


def test_a_cell_has_the_highest_rate_of_those_that_can_win(tmp_path: Path) -> None:
    results = [
        result(0, config(batch_size=1), (10, 10)),
        result(1, config("openvino", 16, layout="2x1"), (30, 30)),
        result(2, config("onnxruntime", 16, layout="2x1"), (40, 40)),
        result(3, config("openvino", 8, layout="2x1"), (90, 90), feasible=False),
        result(4, config("openvino", 16, layout="2x1"), (95, 95), status=Status.REJECTED),
        result(5, config("openvino", 16)),
    ]
    found = heat_map.figure(keep(tmp_path, results))
    assert found is not None
    (cells,) = found.data
    assert list(cells.x) == ["1x2", "2x1"] and list(cells.y) == ["1", "16"]
    assert [list(row) for row in cells.z] == [[pytest.approx(10), None], [None, pytest.approx(40)]]
    assert cells.text[1][1] == "trial 2, onnxruntime float32, batch 16, 2x1"


def test_batch_sizes_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    found = heat_map.figure(keep(tmp_path, [result(i, config(batch_size=2**i), (10, 10)) for i in (4, 1, 3)]))
    assert found is not None
    assert list(found.data[0].y) == ["2", "8", "16"] and found.layout.yaxis.type == "category"


def test_one_cell_is_no_map(tmp_path: Path) -> None:
    assert heat_map.figure(keep(tmp_path, [result(0, rates=(10, 10)), result(1, rates=(11, 11))])) is None
