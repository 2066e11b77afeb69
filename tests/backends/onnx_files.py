"""A program that quantises ONNX files in a child and tells what their answers are."""

from __future__ import annotations

FILES = """
from types import SimpleNamespace
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from autotune.backends import _onnx
from autotune.backends import onnxruntime as backend
from autotune.core.errors import ModelError
from tests import machines

rng = np.random.default_rng(0)

def saved(name, batch):
    weights = {"w": rng.normal(0, 0.3, (8, 3, 3, 3)), "b": rng.normal(0, 0.1, 8), "dense": rng.normal(0, 0.1, (512, 4))}
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["answer"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    ports = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 8, 8])]
    graph = helper.make_graph(nodes, "tiny", ports, [helper.make_tensor_value_info("answer", 1, [batch, 4])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / name / "net.onnx"
    path.parent.mkdir()
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=64)
    return path

def workload(path):
    images = np.random.default_rng(1).normal(size=(200, 3, 8, 8)).astype(np.float32)
    rows = lambda count: (images[:count],)
    spec = SimpleNamespace(options={})
    return SimpleNamespace(
        form="onnx", spec=spec, described=(), batch_axes=(0,), file=lambda: path, arrays=rows, calibration=rows
    )

def answers(made, batch_size, **asked):
    options, config = backend.Options(**asked), configured("onnxruntime", 1, batch_size)
    session = backend.load(UNDESCRIBED, options, config, made)
    reason = backend.applied(session, options, config)
    (answer,) = session.outputs(session(session.convert(workload(None).arrays(batch_size))))
    return answer, reason

int8 = backend.Options(precision="int8")
told["int8"] = []
for name, batch, size in (("free", "batch", 16), ("fixed", 3, 3)):
    plain = folder / f"{name}_float32"
    plain.mkdir()
    given = workload(saved(name, batch))
    backend.prepare(given, backend.Options(), configured("onnxruntime"), this_machine, plain, None)
    told[name] = {"files": sorted(path.name for path in plain.iterdir())}
    exact, _ = answers(plain, size)
    for kind, hw in (("int8", this_machine), ("avx2", machines.hardware(1, isa=("avx2",)))):
        quantised = folder / f"{name}_{kind}"
        quantised.mkdir()
        backend.prepare(given, int8, configured("onnxruntime"), hw, quantised, plain)
        close, reason = answers(quantised, size, precision="int8")
        weights = map(numpy_helper.to_array, onnx.load(quantised / backend.MODEL).graph.initializer)
        told["int8"].append({
            "saturates": hw.saturates,
            "left": sorted(path.name for path in quantised.iterdir()),
            "reason": reason,
            "error": float(((close - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum()),
            "equal": bool((close == exact).all()),
            "largest": max(int(abs(array.astype(int)).max()) for array in weights if array.dtype == np.int8),
        })
    told[name]["not quantised"] = answers(plain, size, precision="int8")[1]
    try:
        told[name]["another batch"] = list(answers(plain, 2)[0].shape)
    except ModelError as error:
        told[name]["another batch"] = str(error)
feed = {"image": workload(None).arrays(1)[0]}
told["operators"] = sorted(_onnx.executed(folder / "free_int8" / backend.MODEL, feed, folder))
told["exact operators"] = sorted(_onnx.executed(folder / "free_float32" / backend.MODEL, feed, folder))

identity = helper.make_graph(
    [helper.make_node("Neg", ["image"], ["answer"])], "neg",
    *([helper.make_tensor_value_info(name, 1, ["batch", 3, 8, 8])] for name in ("image", "answer")),
)
(folder / "neg").mkdir()
onnx.save(helper.make_model(identity, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "neg/m.onnx")
try:
    _onnx.quantize(workload(None), this_machine, folder / "neg" / "m.onnx", folder / "neg" / "int8.onnx")
except ModelError as error:
    told["nothing to quantise"] = str(error)

def converted():
    old = onnx.load(folder / "free" / "net.onnx")
    old.opset_import[0].version = 11
    made = folder / "old"
    made.mkdir(exist_ok=True)
    onnx.save(old, made / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=64)
    _onnx.quantize(workload(None), this_machine, made / "net.onnx", made / backend.MODEL)
    close, exact = answers(made, 16, precision="int8")[0], answers(folder / "free_float32", 16)[0]
    told["old"] = float(((close - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum())

def broken(model, version):
    raise RuntimeError("no adapter\\nfor Conv")

told["old failure"] = failure(converted)
onnx.version_converter.convert_version = broken
told["not converted"] = failure(converted)

model = onnx.load(folder / "free" / "net.onnx", load_external_data=False)
for tensor in model.graph.initializer:
    for entry in tensor.external_data:
        if entry.key == "location":
            entry.value = "../free/weights.bin"
(folder / "away").mkdir()
onnx.save(model, folder / "away" / "net.onnx")
try:
    _onnx.copy(folder / "away" / "net.onnx", folder / "away.onnx")
except ModelError as error:
    told["data elsewhere"] = str(error)
"""
