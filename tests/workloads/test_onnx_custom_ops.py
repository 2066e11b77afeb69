"""ONNX files with operators of their own, which a library holds: here onnxruntime-extensions'."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from autotune.core.results import Status
from autotune.core.struct import Value
from autotune.core.workload_spec import WorkloadSpec
from autotune.workloads import onnx
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.place import ROOT

CHILD = """
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

def values(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8])

weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((8, 8), np.float32), "w")
nodes = [
    helper.make_node("MatMul", ["x", "w"], ["h"]),
    helper.make_node("NegPos", ["h"], ["negative", "y"], domain="ai.onnx.contrib"),
]
graph = helper.make_graph(nodes, "g", [values("x")], [values("y")], [weight])
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "own.onnx")

from autotune.workloads import onnx as provider
told["without"] = failure(provider.input_names, f"{folder}/own.onnx", provider.Options())
"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def library() -> str:
    found = next((ROOT / "pretrained" / "onnxruntime-extensions").glob("*.so"), None)
    if found is None:
        pytest.skip("needs `make pretrained`")
    return str(found)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, library: str) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("custom_ops")
    return {"folder": str(folder), **child.told(CHILD, folder, "onnxruntime", "onnx")}


def test_operators_of_a_library_run_in_onnxruntime(
    told: dict[str, Any], library: str, lab: ExtendedPackage, tmp_path: Path
) -> None:
    options: dict[str, Value] = {"custom_ops": library}
    workload = WorkloadSpec(model=f"onnx:{told['folder']}/own.onnx", inputs=(), options=options)
    asked: list[tuple[str, dict[str, Value]]] = [("onnxruntime", {}), ("onnxruntime", {"precision": "int8"})]
    asked += [("openvino", {})] if find_spec("openvino") else []
    specs = [lab.spec(backend, given, workload=workload, trial=trial) for trial, (backend, given) in enumerate(asked)]
    right, quantised, *elsewhere = lab.execute(tmp_path, specs).results
    assert (right.status, right.error) == (Status.OK, None)
    assert right.fidelity is not None and right.fidelity.max_abs_error == 0
    assert (quantised.status, quantised.error) == (
        Status.PREPARE_FAILED,
        "ModelError: a model with custom operators cannot be quantised by onnxruntime.quantization",
    )
    for other in elsewhere:
        assert other.status is Status.PREPARE_FAILED and "\n" not in str(other.error) and "NegPos" in str(other.error)


def test_a_file_that_lacks_its_library_says_what_to_write(told: dict[str, Any]) -> None:
    assert told["without"].startswith(f"{told['folder']}/own.onnx cannot be loaded: ")
    assert told["without"].endswith("; write workload.custom_ops: LIBRARY.so with its operators")


def test_the_library_is_part_of_the_key(told: dict[str, Any], library: str) -> None:
    name = f"{told['folder']}/own.onnx"
    with_it, without = onnx.cache_key(name, onnx.Options(custom_ops=library)), onnx.cache_key(name, onnx.Options())
    assert with_it[: len(without)] == without and len(with_it) == len(without) + 1
