from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autotune.backends import _onnx
from autotune.core.errors import ModelError
from tests import machines


def rows(count: int) -> tuple[np.ndarray[Any, Any], ...]:
    return np.arange(count)[:, None], np.arange(count)


@pytest.mark.parametrize(("size", "each"), [(None, 1), (1, 1), (3, 3), (100, 100)])
def test_calibration_has_enough_rows_in_pieces_that_the_model_takes(size: int | None, each: int) -> None:
    workload: Any = SimpleNamespace(calibration=rows)
    feeds = _onnx.calibration(workload, ["a", "b"], size)
    assert {len(array) for feed in feeds for array in feed.values()} == {each}
    joined = np.concatenate([feed["b"] for feed in feeds])
    np.testing.assert_array_equal(joined, np.arange(len(joined)))
    assert _onnx.CALIBRATION_SAMPLES <= len(joined) < _onnx.CALIBRATION_SAMPLES + each


def test_more_rows_are_calibrated_on_where_there_are_more() -> None:
    workload: Any = SimpleNamespace(calibration=lambda least: rows(100))
    feeds = _onnx.calibration(workload, ["a", "b"], 8)
    np.testing.assert_array_equal(np.concatenate([feed["b"] for feed in feeds]), np.arange(96))


def test_only_the_batch_that_a_model_takes_passes() -> None:
    _onnx.check_batch([["batch", 3]], 5)
    _onnx.check_batch([[4, 3]], 4)
    with pytest.raises(ModelError, match=r"takes batches of 4, not of 5; use batch_size: \[4\]"):
        _onnx.check_batch([[4, 3]], 5)


def test_without_vnni_the_range_is_reduced() -> None:
    assert _onnx.recipe(machines.hardware(1, isa=("avx2",)))["reduce_range"]
    assert not _onnx.recipe(machines.hardware(1, isa=("avx512_vnni",)))["reduce_range"]
    assert _onnx.recipe(machines.hardware(1, architecture="aarch64"))["activation_type"] == "QInt8"


def test_exporting_needs_its_packages_only_where_torch_can_export() -> None:
    assert _onnx.makers(machines.hardware(1, packages={})) == ["onnx"]
    assert _onnx.makers(machines.hardware(1, packages={"torch": "2.13"})) == ["onnx", "onnxscript"]


def test_a_workload_without_a_file_of_its_own() -> None:
    without: Any = SimpleNamespace(form="module", file=lambda: Path("model.onnx"))
    assert _onnx.own_file(without) is None
    without.form = "onnx"
    assert _onnx.own_file(without) == Path("model.onnx")
