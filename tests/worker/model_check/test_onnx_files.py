from __future__ import annotations

from typing import Any

import pytest

from tests.backends import child

CHILD = """
import onnx
from onnx import helper, numpy_helper
from autotune.backends import onnxruntime as backend
from autotune.core.workload_spec import WorkloadSpec
from autotune.models.workload import BuiltWorkload
from autotune.worker.model_check import check
from autotune.worker.model_check.subject import Subject

def said(name, *nodes, batch="batch", weight=np.eye(3, dtype=np.float32), external=False):
    tensor = numpy_helper.from_array(weight, "w")
    sizes = [helper.make_tensor_value_info(one, onnx.TensorProto.FLOAT, [batch, 3]) for one in ("x", "y")]
    graph = helper.make_graph(list(nodes), name, sizes[:1], sizes[1:], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / f"{name}.onnx"
    onnx.save(model, path, save_as_external_data=external, location=f"{name}.data", size_threshold=0)
    workload = BuiltWorkload(WorkloadSpec(model=f"onnx:{path}", inputs=()))
    fixed = None if batch == "batch" else batch
    made = folder / name
    made.mkdir()
    backend.prepare(workload, backend.Options(), configured("onnxruntime"), this_machine, made, None)
    session = backend.load(workload, backend.Options(), configured("onnxruntime", batch_size=fixed or 8), made)
    rows = np.random.default_rng(0).standard_normal((fixed or 8, 3)).astype(np.float32)
    found = check.check(Subject(session, (rows,), (0,), fixed), path, os.environ).findings
    return [[one.what, one.where, one.severity] for one in found]

product = helper.make_node("MatMul", ["x", "w"], ["y"])
mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1)
less = helper.make_node("Sub", ["x", "m"], ["y"])
told["plain"] = said("plain", product)
told["fixed"] = said("fixed", product, batch=4)
told["mean"] = said("mean", mean, less)
told["fixed mean"] = said("fixed_mean", mean, less, batch=4)
nan = np.eye(3, dtype=np.float32)
nan[1, 2] = np.nan
told["nan"] = said("nan", product, weight=nan)
told["nan beside"] = said("nan_beside", product, weight=nan, external=True)
told["denormal"] = said("denormal", product, weight=np.full((3, 3), 1e-39, np.float32))
cast = helper.make_node("Cast", ["w"], ["v"], to=onnx.TensorProto.FLOAT)
told["half"] = said("half", cast, helper.make_node("MatMul", ["x", "v"], ["y"]), weight=np.eye(3, dtype=np.float16))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("told"), "onnxruntime", "onnx")


def test_of_files_that_do_as_they_should_nothing_is_said(told: dict[str, Any]) -> None:
    assert told["plain"] == told["fixed"] == []


def test_rows_that_depend_on_each_other_are_an_error_at_one_batch_size_too(told: dict[str, Any]) -> None:
    for name in ("mean", "fixed mean"):
        ((what, _, severity),) = told[name]
        assert (what, severity) == ("the answer to a row depends on the rest of the batch", "error")


def test_weights_are_those_of_the_file(told: dict[str, Any]) -> None:
    for name in ("nan", "nan beside"):
        ((what, _, severity),) = told[name]
        assert (what, severity) == ("weight w holds NaN in 1 of 9 places", "error")
    ((what, where, severity),) = told["denormal"]
    assert what.startswith("100.0% of the weights are denormal numbers")
    assert (where, severity) == ("most of all w", "notice")
    ((what, _, severity),) = told["half"]
    said = "the file's weights are float16 and are kept: what is called float32 here is that"
    assert (what, severity) == (said, "notice")
