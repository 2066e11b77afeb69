from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autotune.backends import _onnx
from autotune.core.errors import ModelError
from autotune.core.workload_spec import InputSpec
from tests import machines
from tests.backends import child
from tests.backends.onnx_files import FILES

EXPORTS = """
from types import SimpleNamespace
import torch
from autotune.backends import onnxruntime as backend
from autotune.core.errors import ModelError

class Fixed(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x[i] * 2 for i in range(x.shape[0])])

(folder / "asking.py").write_text('''
from torch import nn

class Asks(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
''')
sys.path.append(str(folder))
from asking import Asks

class Decomposes(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x)[1]

class Provided:
    form, described, batch_axes = "module", (), (0,)

    def __init__(self, module):
        self.module = lambda: module.eval()
    def file(self):
        return self.no_such_provider
    def arrays(self, rows):
        return (np.ones((rows, 4), np.float32),)

for module in (torch.nn.Linear(4, 2), Fixed(), Asks(), Decomposes()):
    try:
        backend.prepare(Provided(module), backend.Options(), configured("onnxruntime"), None, folder, None)
        told[type(module).__name__] = None
    except ModelError as error:
        told[type(module).__name__] = str(error)
    if told[type(module).__name__] is None:
        session = backend.load(UNDESCRIBED, backend.Options(), configured("onnxruntime", 1, 5), folder)
        told["shape"] = list(session.outputs(session(session.convert(Provided(None).arrays(5))))[0].shape)
"""


def rows(count: int) -> tuple[np.ndarray[Any, Any], ...]:
    return np.arange(count)[:, None], np.arange(count)


@pytest.mark.parametrize(("size", "each"), [(None, 1), (1, 1), (3, 3), (100, 100)])
def test_calibration_has_enough_rows_in_pieces_that_the_model_takes(size: int | None, each: int) -> None:
    workload: Any = SimpleNamespace(form="module", described=(), batch_axes=(0, 0), calibration=rows)
    feeds = _onnx.calibration(workload, [("a", (size or "batch", 1)), ("b", (size or "batch",))])
    assert {len(array) for feed in feeds for array in feed.values()} == {each}
    joined = np.concatenate([feed["b"] for feed in feeds])
    np.testing.assert_array_equal(joined, np.arange(len(joined)))
    assert _onnx.CALIBRATION_SAMPLES <= len(joined) < _onnx.CALIBRATION_SAMPLES + each


def test_more_rows_are_calibrated_on_where_there_are_more() -> None:
    workload: Any = SimpleNamespace(form="module", described=(), batch_axes=(0, 0), calibration=lambda least: rows(100))
    feeds = _onnx.calibration(workload, [("a", (8, 1)), ("b", (8,))])
    np.testing.assert_array_equal(np.concatenate([feed["b"] for feed in feeds]), np.arange(96))


def test_the_batch_that_a_model_takes_is_named() -> None:
    with pytest.raises(ModelError, match=r"takes batches of 4, not of 5; use batch_size: \[4\]"):
        _onnx.check_batch(child.UNDESCRIBED, [("x", [4, 3])], 5)


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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(FILES, tmp_path_factory.mktemp("files"), "onnxruntime", "onnx")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(EXPORTS, tmp_path_factory.mktemp("exports"), "onnxruntime", "torch", "onnxscript")


def test_a_file_is_copied_with_its_external_data(files: dict[str, Any]) -> None:
    for name in ("free", "fixed"):
        assert files[name]["files"] == ["model.onnx", "weights.bin"]
    assert "'../free/weights.bin', outside its own folder" in files["data elsewhere"]


def test_int8_is_close_and_runs_in_int8(files: dict[str, Any]) -> None:
    for made in files["int8"]:
        assert made["reason"] is None
        assert made["error"] < 0.01 and not made["equal"]
        assert made["left"] == ["model.onnx"]
        # two products with a byte are summed up in 16 bits where nothing holds ONNX Runtime back
        assert made["largest"] * 255 * 2 < 2**15 or not made["saturates"]
    assert [made["saturates"] for made in files["int8"]][1::2] == [True, True]
    for name in ("free", "fixed"):
        assert "not quantised" in files[name]["not quantised"]
    assert "QLinearConv" in files["operators"] and "Conv" not in files["operators"]
    assert "Conv" in "".join(files["exact operators"])
    assert not any(name.startswith("Q") for name in files["exact operators"])


def test_a_model_with_nothing_to_quantise_says_so(files: dict[str, Any]) -> None:
    assert files["nothing to quantise"] == "no operator of the quantised model runs in int8; it runs Neg"


def test_an_old_opset_is_converted_first(files: dict[str, Any]) -> None:
    assert files["old failure"] is None
    assert 0 < files["old"] < 0.01
    assert files["not converted"] == (
        "int8 needs ONNX opset 13; the model has 11, and cannot be converted to 17: no adapter for Conv; export it anew"
    )


def test_a_fixed_batch_is_the_only_one(files: dict[str, Any]) -> None:
    assert files["free"]["another batch"] == [2, 4]
    assert files["fixed"]["another batch"] == (
        "the batch dimension cannot vary: the model takes batches of 3, not of 2; "
        "use batch_size: [3] or export it with a dynamic batch"
    )


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([["batch", 4]], None),
        ([[None, 4]], None),
        ([[3, 4]], 3),
        ([[2], ["batch", 4]], None),
        ([[], [3, 4]], 3),
        ([[]], None),
        ([], None),
    ],
)
def test_the_batch_is_fixed_where_no_input_leaves_it_free(shapes: Any, size: int | None) -> None:
    inputs = [(str(place), shape) for place, shape in enumerate(shapes)]
    _onnx.check_batch(child.UNDESCRIBED, inputs, size or 7)
    if size is not None:
        with pytest.raises(ModelError, match="the batch dimension cannot vary"):
            _onnx.check_batch(child.UNDESCRIBED, inputs, 7)


def test_the_inputs_of_a_space_file_are_matched_with_those_of_the_model() -> None:
    described = (InputSpec(value=3, name="sr"), InputSpec(shape=(100, "batch", 32), name="x"))
    workload: Any = SimpleNamespace(
        form="onnx", described=described, batch_axes=(None, 1), spec=SimpleNamespace(options={})
    )
    workload.calibration = lambda least: (np.array(3), np.zeros((100, least, 32)))
    inputs = [("x", [100, 2, 32]), ("sr", [])]
    assert _onnx.names(workload, inputs) == ["sr", "x"]
    assert _onnx.batch_of(workload, inputs) == 2
    feed, *others = _onnx.calibration(workload, inputs)
    assert ({name: array.shape for name, array in feed.items()}, len(others)) == ({"sr": (), "x": (100, 2, 32)}, 31)
    exported: Any = SimpleNamespace(form="module", described=described, batch_axes=(1,))
    assert _onnx.names(exported, [("input_0", ["batch", 32])]) == ["input_0"]


def test_a_module_is_exported_with_a_free_batch(exports: dict[str, Any]) -> None:
    assert exports["Linear"] is None
    assert exports["shape"] == [5, 2]


def test_code_that_fixes_the_batch_is_found_out(exports: dict[str, Any]) -> None:
    assert exports["Fixed"] == ("the batch dimension cannot vary: the model's code fixes it to 2 when it is exported")


def test_an_export_that_fails_names_the_place_in_one_line(exports: dict[str, Any]) -> None:
    for name, place in (
        ("Asks", "asking.py, line 6, `return x if x.sum() > 0 else -x`: "),
        ("Decomposes", "torch.ops.aten._linalg_svd.default"),
    ):
        assert exports[name].startswith("the model cannot be exported to ONNX: ") and "\n" not in exports[name]
        assert place in exports[name]
