"""Batches of other sizes and types than the measured ones: taken where the model takes them, else named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from autotune.core.struct import Value
from autotune.hardware import probe
from tests.apply import tiny
from tests.place import Place

OTHERS = """
import numpy as np, torch
model, _ = said(load, "best.json")

def tried(shape, dtype=np.float32):
    try:
        return list(model(np.ones(shape, dtype)).shape)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

told["same"] = tried((2, 3, 8, 8))
told["rows"] = tried((5, 3, 8, 8))
told["size"] = tried((2, 3, 6, 8))
told["rank"] = tried((2, 3, 8))
told["type"] = tried((2, 3, 8, 8), np.float64)
"""

SIZE = (
    "ModelError: input 0 has size 6 in dimension 2; the model was prepared for 8: "
    "pad or resize it, or run a study for 6"
)
RANK = "ModelError: input 0 has 3 dimensions; the model was prepared for 4: reshape it"
TYPE = "ModelError: input 0 is float64; the model was prepared for float32: convert it"
ONNX = ("torch", "onnx", "onnxscript", "onnxruntime")


def needs(*packages: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(any(find_spec(one) is None for one in packages), reason=f"needs {packages}")


@needs("torch")
def test_the_module_itself_takes_other_sizes_and_says_what_it_does_not_take(place: Place) -> None:
    tiny.best(place.folder, function="any_size", outputs=("output",))
    found = tiny.told(place, OTHERS)
    assert (found["same"], found["rows"], found["size"]) == ([2, 4], [5, 4], [2, 4])
    assert found["type"].startswith("ModelError: input 0 is float64; the model was measured with float32, and does not")
    assert "\n" not in found["type"]


COMPILED = [needs("torch"), pytest.mark.skipif(probe.probe().compiler is None, reason="needs g++"), pytest.mark.slow]


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        pytest.param("onnxruntime", {}, marks=needs(*ONNX)),
        pytest.param("openvino", {}, marks=[needs(*ONNX, "openvino"), pytest.mark.slow]),
        pytest.param("openvino", {"frontend": "torch"}, marks=needs(*ONNX, "openvino")),
        pytest.param("torch_aot", {}, marks=COMPILED),
        pytest.param("torch_int8", {}, marks=[*COMPILED, needs("torchao")]),
    ],
)
def test_a_prepared_model_names_what_it_was_not_prepared_for(
    place: Place, backend: str, options: dict[str, Value]
) -> None:
    tiny.best(place.folder, backend, options, function="any_size", outputs=("output",))
    found = tiny.told(place, OTHERS)
    assert (found["same"], found["rows"]) == ([2, 4], [5, 4])
    assert (found["size"], found["rank"], found["type"]) == (SIZE, RANK, TYPE)


# ------------------------------------------------------------------------------------------- a file of the user's

GRAPH = """
import onnx
from onnx import TensorProto, helper

def save(name, *outputs):
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 4])
    nodes = [helper.make_node("Relu", ["pixels"], [output]) for output in outputs]
    made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 4]) for output in outputs]
    graph = helper.make_graph(nodes, "graph", [given], made)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), name)

save("one.onnx", "probabilities")
save("two.onnx", "boxes", "scores")
"""
USE = """
from autotune.apply import best_file
from autotune.report.export import writer
import msgspec, numpy as np
from autotune.core.answers import (OutputFidelity)
path = Path("best.json")
best = best_file.read(path)

def called(name, *outputs):
    workload = msgspec.structs.replace(best.workload, model=f"onnx:{Path(name).absolute()}")
    close = tuple(msgspec.structs.replace(best.fidelity.outputs[0], name=output) for output in outputs)
    fidelity = msgspec.structs.replace(best.fidelity, outputs=close)
    writer.write(path, msgspec.structs.replace(best, workload=workload, fidelity=fidelity))
    model, _ = said(load, "best.json")
    return model, model({"pixels": np.ones((3, 4), np.float32)})

model, found = called("one.onnx", "probabilities")
told["inputs"], told["one"] = model.input_names, list(found.shape)
told["two"] = list(called("two.onnx", "boxes", "scores")[1])
graph = helper.make_graph(
    [helper.make_node("Sub", ["left", "right"], ["difference"])],
    "graph",
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("left", "right")],
    [helper.make_tensor_value_info("difference", TensorProto.FLOAT, ["batch", 4])],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "difference.onnx")
other = tuple(msgspec.structs.replace(best.workload.inputs[0], name=name) for name in ("right", "left"))
other = msgspec.structs.replace(best.workload, inputs=other, model=f"onnx:{Path('difference.onnx').absolute()}")
right, left = np.full((3, 4), 1, np.float32), np.full((3, 4), 5, np.float32)
for backend in ("onnxruntime", "openvino"):
    config = msgspec.structs.replace(best.config, backend=backend, options={})
    writer.write(path, msgspec.structs.replace(best, workload=other, config=config))
    pair, _ = said(load, "best.json")
    told[backend] = [float(pair(right, left)[0, 0]), float(pair({"left": left, "right": right})[0, 0])]
told["wrong name"] = failure(model, {"pixel": np.ones((3, 4), np.float32)})
"""


@needs(*ONNX, "openvino")
def test_a_file_gives_its_lone_output_alone_and_several_by_their_names(place: Place, tmp_path: Path) -> None:
    tiny.best(place.folder, "onnxruntime", inputs=tiny.FOUR, outputs=("probabilities",))
    found: dict[str, Any] = tiny.told(place, GRAPH + USE)
    assert (found["inputs"], found["one"], found["two"]) == (["pixels"], [3, 4], ["boxes", "scores"])
    assert found["onnxruntime"] == found["openvino"] == [4.0, 4.0]  # in the space file's order, which is another
    assert found["wrong name"] == "the model has no input 'pixel'; did you mean 'pixels'?"
