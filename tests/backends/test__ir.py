from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.backends.openvino import Options, unavailable
from autotune.hardware import probe
from tests.backends import child

CONVERT = """
from types import SimpleNamespace
import onnx
from onnx import helper, numpy_helper
from autotune.backends import onnxruntime, openvino as backend

rng = np.random.default_rng(0)
images = rng.normal(size=(200, 3, 8, 8)).astype(np.float32)
given = SimpleNamespace(form="onnx", described=(), batch_axes=(0,), calibration=lambda rows: (images[:rows],))
given.file = lambda: folder / "net.onnx"

def answers(made, size, **asked):
    config = configured("openvino", 1, size)
    session = backend.load(UNDESCRIBED, backend.Options(**asked), config, made)
    (answer,) = session.outputs(session(session.convert((images[:size],))))
    return answer, backend.applied(session, backend.Options(**asked), config)

for name, batch, size in (("free", "batch", 16), ("fixed", 3, 3)):
    weights = {"w": rng.normal(0, 0.3, (8, 3, 3, 3)), "dense": rng.normal(0, 0.1, (512, 4))}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["answer"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    ports = {"image": [batch, 3, 8, 8], "answer": [batch, 4]}
    inputs, outputs = ([helper.make_tensor_value_info(key, 1, ports[key])] for key in ports)
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    made = [folder / f"{name}_{kind}" for kind in ("onnx", "float32", "int8")]
    for path in made:
        path.mkdir()
    onnxruntime.prepare(given, onnxruntime.Options(), configured("onnxruntime"), this_machine, made[0], None)
    for precision, start, end in (("float32", *made[:2]), ("int8", *made[1:])):
        backend.prepare(given, backend.Options(precision=precision), configured("openvino"), this_machine, end, start)
    exact, reason = answers(made[1], size)
    close, quantised = answers(made[2], size, precision="int8")
    error = float(((close - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum())
    told[name] = [reason, quantised, error, bool((close == exact).all())]
    if BFLOAT16:
        rounded, reason = answers(made[1], size, precision="bfloat16")
        error = float(((rounded - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum())
        told[f"{name} bfloat16"] = [reason, answers(made[1], size)[1], error, bool((rounded == exact).all())]
"""


TREES = """
import onnx
from onnx import helper
from autotune.backends import _ir

table, answer = (helper.make_tensor_value_info(name, 1, ["batch", 3]) for name in ("table", "answer"))
node = helper.make_node("TreeEnsembleRegressor", ["table"], ["answer"], domain="ai.onnx.ml")
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
graph = helper.make_graph([node], "scaled", [table], [answer])
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "trees.onnx")
told["lacking"] = failure(_ir.converted, folder / "trees.onnx")
(folder / "text.onnx").write_text("no model")
told["text"] = failure(_ir.converted, folder / "text.onnx")
"""


def test_what_openvino_cannot_take_is_one_line(tmp_path: Path) -> None:
    told = child.told(TREES, tmp_path, "openvino", "onnx")
    assert told["lacking"] == (
        "OpenVINO cannot take the ONNX model: No conversion rule found for operations: ai.onnx.ml.TreeEnsembleRegressor"
    )
    assert told["text"].startswith("OpenVINO cannot take the ONNX model: ") and "\n" not in told["text"]


ATTENTION = """
from types import SimpleNamespace
import openvino
from openvino import opset13 as ops
from autotune.backends import _ir

rng = np.random.default_rng(0)
count, tokens, width = 64, 16, 32
x = rng.normal(size=(count, tokens, width)).astype(np.float32)
mask = (np.arange(tokens) < rng.integers(4, tokens + 1, (count, 1))).astype(np.float32)
rows = lambda least: (x[:least], mask[:least])
workload = SimpleNamespace(form="onnx", described=(), batch_axes=(0, 0), calibration=rows)

def attention(kind):
    given = [ops.parameter([-1, tokens, width], np.float32, "x"), ops.parameter([-1, tokens], np.float32, "mask")]
    for port, name in zip(given, ("x", "mask")):
        port.output(0).tensor.names = {name}
    weights = rng.normal(0, width**-0.5, (4, width, width)).astype(np.float32)
    query, key, value = (ops.matmul(given[0], ops.constant(part), False, False) for part in weights[:3])
    least = ops.constant(np.float32(np.finfo(np.float32).min))
    bias = ops.multiply(ops.subtract(ops.constant(np.float32(1)), ops.unsqueeze(given[1], ops.constant(1))), least)
    if kind == "fused":
        mixed = ops.scaled_dot_product_attention(query, key, value, bias)
    else:
        scores = ops.add(ops.multiply(ops.matmul(query, key, False, True), ops.constant(np.float32(width**-0.5))), bias)
        shared = ops.softmax(scores, -1)
        mixed = ops.matmul(ops.convert(shared, np.float32) if kind == "convert" else shared, value, False, False)
    out = ops.matmul(mixed, ops.constant(weights[3]), False, False)
    return openvino.Model([ops.softmax(out, -1) if kind == "classifier" else out], given, kind)

def classifier():
    image = ops.parameter([-1, width], np.float32, "image")
    scores = ops.matmul(image, ops.constant(rng.normal(size=(width, 4)).astype(np.float32)), False, False)
    return openvino.Model([ops.softmax(scores, -1)], [image], "classifier")

def answer(model):
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x, mask])[0]

told["classifier"] = _ir.has_attention(classifier())
for kind in ("plain", "convert", "fused"):
    model = attention(kind)
    exact, found = answer(model), _ir.has_attention(model)
    close = answer(_ir.quantized(workload, this_machine, model))
    told[kind] = [found, float(((close - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum())]
"""


def test_an_attention_is_quantised_as_one(tmp_path: Path) -> None:
    """A mask of the least float, taken for values as any other, leaves one step of the scale to all scores."""
    told = child.told(ATTENTION, tmp_path, "openvino", "nncf")
    assert told.pop("classifier") is False
    for attention, error in told.values():
        assert attention and error < 0.02


def test_precisions_are_close_and_proven(tmp_path_factory: Any) -> None:
    can = unavailable(Options(precision="bfloat16"), probe.probe()) is None
    script = CONVERT.replace("BFLOAT16", str(can))
    told = child.told(script, tmp_path_factory.mktemp("convert"), "openvino", "onnx", "nncf")
    assert set(told) == {"free", "fixed", *(("free bfloat16", "fixed bfloat16") if can else ())}
    for exact, changed, error, equal in told.values():
        assert (exact, changed) == (None, None)
        assert error < 0.01 and not equal
