"""A program that writes ONNX files of many kinds in a child and tells what is found in them."""

from __future__ import annotations

CHILD = """
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from autotune.core.workload_spec import DataSpec, InputSpec, WorkloadSpec
from autotune.models.workload import BuiltWorkload
from autotune.workloads import onnx as onnx_files

def save(name, shapes, kind=TensorProto.FLOAT, **how):
    inputs = [helper.make_tensor_value_info(f"in_{i}", kind, shape) for i, shape in enumerate(shapes)]
    nodes = [helper.make_node("Cast", [f"in_{i}"], [f"cast_{i}"], to=TensorProto.FLOAT) for i in range(len(shapes))]
    nodes += [helper.make_node("Mul", [f"cast_{i}", "scale"], [f"out_{i}"]) for i in range(len(shapes))]
    outputs = [helper.make_tensor_value_info(f"out_{i}", TensorProto.FLOAT, None) for i in range(len(shapes))]
    scale = numpy_helper.from_array(np.array([2], np.float32), "scale")
    weights = numpy_helper.from_array(np.arange(1000, dtype=np.float32), "weights")
    unused = numpy_helper.from_array(np.arange(2000, dtype=np.float32), "others")
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [scale, weights, unused])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{name}.onnx", **how)

def workload(name):
    return BuiltWorkload(WorkloadSpec(model=f"onnx:{folder}/{name}.onnx", inputs=()))

save("float", [["batch", 3, 4], [None, 2]])
for kind in ("INT64", "INT32", "BOOL", "DOUBLE", "FLOAT16", "UINT8"):
    save(kind, [["batch", 50]], getattr(TensorProto, kind))
    (found,) = workload(kind).arrays(2)
    told[kind] = [str(found.dtype), list(found.shape), sorted(set(found.ravel().tolist()))[:3]]
found = workload("float").arrays(3)
told["float"] = [[str(a.dtype), *a.shape] for a in found]
np.savez(folder / "by_name.npz", in_1=np.ones((9, 2), np.float32), in_0=np.zeros((9, 3, 4), np.float32))
real = DataSpec(source=str(folder / "by_name.npz"), metric=None)
spec = WorkloadSpec(model=f"onnx:{folder}/float.onnx", inputs=(), data=real)
told["by name"] = [list(array.shape) for array in BuiltWorkload(spec).arrays(3)]
told["prefix"] = all(bool((a[:2] == b).all()) for a, b in zip(found, workload("float").arrays(2), strict=True))
told["rows differ"] = bool((found[0][0] != found[0][1]).all())
session = onnxruntime.InferenceSession(workload("float").file())
results = session.run(None, {"in_0": found[0], "in_1": found[1]})
told["doubled"] = all(bool(np.allclose(2 * a, b)) for a, b in zip(found, results, strict=True))
told["module"] = failure(workload("float").module)

save("fixed", [[4, 3]])
for size in (3, 4, 16):
    save(f"of_{size}", [[size, 3], [size, 2]])
told["fixed"] = [workload("fixed").arrays(rows)[0].shape for rows in (4, 8)]
save("mixed", [["batch", 3], [4, 3]])
told["mixed"] = failure(workload("mixed").arrays, 4)
save("open", [["batch", 3], ["batch", "length", None]])
save("scalar", [[]])
save("half", [["batch", 3, "H", "W"]], TensorProto.FLOAT16)
save("state", [["batch", 5], [2, "batch", 3]])
told["fixed by a space file"] = [
    failure(onnx_files.fixed_batch, f"{folder}/state.onnx", onnx_files.Options(), given)
    for given in (
        (InputSpec(shape=("batch", 5)), InputSpec(shape=("batch", 2, 3))),
        (InputSpec(shape=("batch", 5)), InputSpec(shape=(2, "batch", 3), dtype="float16")),
        (InputSpec(shape=("batch", 5)),),
        (InputSpec(shape=(2, "batch", 3), name="in_1"), InputSpec(shape=("batch", 5), name="in_0")),
    )
]
told["state"] = [list(array.shape) for array in workload("state").arrays(4)]
told["state's axes"] = workload("state").batch_axes
told["prefix of state"] = bool((workload("state").arrays(4)[1][:, :2] == workload("state").arrays(2)[1]).all())
save("text", [["batch"]], TensorProto.STRING)
(folder / "no.onnx").write_text("this is no model")
for name in ("open", "scalar", "half", "text", "no"):
    told[name] = failure(workload(name).arrays, 2)

f = TensorProto.FLOAT
nodes = [
    helper.make_node("Cast", ["sr"], ["rate"], to=f),
    helper.make_node("Div", ["rate", "base"], ["share"]),
    helper.make_node("Mul", ["x", "share"], ["scaled"]),
    helper.make_node("Add", ["state", "scaled"], ["sum"]),
    helper.make_node("Tanh", ["sum"], ["stateN"]),
    helper.make_node("ReduceMean", ["stateN"], ["out"], axes=[0], keepdims=0),
]
ports = [("x", f, ["batch", 8]), ("state", f, [2, "batch", 8]), ("sr", TensorProto.INT64, [])]
outputs = [("out", f, ["batch", 8]), ("stateN", f, [2, "batch", 8])]
graph = helper.make_graph(
    nodes,
    "step",
    [helper.make_tensor_value_info(*port) for port in ports],
    [helper.make_tensor_value_info(*port) for port in outputs],
    [numpy_helper.from_array(np.float32(16000)[()].reshape(()), "base")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, folder / "step.onnx")

save("outside", [["batch", 2]], save_as_external_data=True, size_threshold=100, location="weights.bin")
long = "w" * 140 + ".bin"
save("long", [["batch", 2]], save_as_external_data=True, size_threshold=100, location=long)
save("apart", [["batch", 2]], save_as_external_data=True, size_threshold=100, all_tensors_to_one_file=False)
"""
