from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.errors import ModelError
from autotune.core.results import Status, TrialResult
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.workloads import onnx
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.study import fakes

Trials = dict[tuple[str, int], TrialResult]
SIZES, OTHER = (3, 4, 16), 8
"""Fixed sizes of batches, and one that none of the models takes."""

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
    failure(onnx_files.fixed_batch, f"{folder}/state.onnx", given)
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


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("onnx")
    return {"folder": str(folder), **child.told(CHILD, folder, "onnxruntime", "onnx")}


@pytest.fixture(scope="module")
def trials(told: dict[str, Any], lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """The results of real trials by model and batch size."""
    asked = [(f"of_{size}", batch_size) for size in SIZES for batch_size in (size, OTHER)] + [
        ("float", 2),
        ("outside", 2),
    ]
    specs = [
        lab.spec(
            "onnxruntime",
            {},
            workload=WorkloadSpec(model=f"onnx:{told['folder']}/{name}.onnx", inputs=()),
            batch_size=batch_size,
            trial=trial,
        )
        for trial, (name, batch_size) in enumerate(asked)
    ]
    return dict(zip(asked, lab.execute(tmp_path_factory.mktemp("trials"), specs).results, strict=True))


# --------------------------------------------------------------------------------------------------------- inputs


def test_inputs_are_those_of_the_graph(told: dict[str, Any]) -> None:
    assert told["float"] == [["float32", 3, 3, 4], ["float32", 3, 2]]
    assert told["prefix"] and told["rows differ"]
    assert told["doubled"]


def test_arrays_are_matched_by_the_graphs_names(told: dict[str, Any]) -> None:
    assert told["by name"] == [[3, 3, 4], [3, 2]]


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [
        ("INT64", "int64", [0, 1]),
        ("INT32", "int32", [0, 1]),
        ("UINT8", "uint8", [0, 1]),
        ("BOOL", "bool", [False, True]),
    ],
)
def test_whole_numbers_are_0_and_1(told: dict[str, Any], kind: str, dtype: str, values: list[int]) -> None:
    assert told[kind] == [dtype, [2, 50], values]


def test_other_floats_have_their_type(told: dict[str, Any]) -> None:
    assert told["DOUBLE"][:2] == ["float64", [2, 50]]
    assert told["FLOAT16"][:2] == ["float16", [2, 50]]


def test_a_fixed_batch_has_as_many_rows_as_are_asked_for(told: dict[str, Any]) -> None:
    assert told["fixed"] == [[4, 3], [8, 3]]


def test_a_batch_that_only_some_inputs_fix_is_refused(told: dict[str, Any]) -> None:
    assert told["mixed"] == (
        f"input 'in_1' of {told['folder']}/mixed.onnx has shape [4, 3], without the batch that others have; "
        "write workload.inputs: [{shape: [batch, 3]}, {shape: [4, 3]}]"
    )


def test_the_batch_is_where_the_file_names_it(told: dict[str, Any]) -> None:
    assert told["state"] == [[4, 5], [2, 4, 3]]
    assert told["state's axes"] == [0, 1]
    assert told["prefix of state"]


def test_inputs_of_a_space_file_fit_the_files(told: dict[str, Any]) -> None:
    file = f"{told['folder']}/state.onnx"
    assert told["fixed by a space file"] == [
        f"workload.inputs[1] is float32 [batch, 2, 3]; input 'in_1' of {file} is float32 [2, batch, 3]",
        f"workload.inputs[1] is float16 [2, batch, 3]; input 'in_1' of {file} is float32 [2, batch, 3]",
        "workload.inputs has 1 inputs; the model's are in_0, in_1",
        None,
    ]


@pytest.mark.parametrize("size", SIZES)
def test_a_fixed_batch_is_tuned_at_its_own_size_only(trials: Trials, size: int) -> None:
    fits, fails = trials[f"of_{size}", size], trials[f"of_{size}", OTHER]
    assert (fits.status, fits.error) == (Status.OK, None)
    assert fits.fidelity is not None and fits.fidelity.max_abs_error < 1e-6
    assert (fails.status, fails.error) == (
        Status.CRASHED,
        f"ModelError: the batch dimension cannot vary: the model takes batches of {size}, not of 8; "
        f"use batch_size: [{size}] or export it with a dynamic batch",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "open",
            "input 'in_1' of {}/open.onnx leaves length, ? open; "
            "write workload.inputs: [{shape: [batch, 3]}, {shape: [batch, length, ?]}]",
        ),
        (
            "scalar",
            "input 'in_0' of {}/scalar.onnx is a single float32, whose value the file does not tell; "
            "write workload.inputs: [{value: 1, dtype: float32}]",
        ),
        (
            "half",
            "input 'in_0' of {}/half.onnx leaves H, W open; write workload.inputs: "
            "[{shape: [batch, 3, H, W], dtype: float16}] (a float32 file may be faster on this CPU)",
        ),
        ("text", "input 'in_0' of {}/text.onnx is tensor(string), which no input can be; allowed: float32, float64"),
        ("no", "{}/no.onnx cannot be loaded: "),
        ("module", "{}/float.onnx is an ONNX file, not a torch module"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(told: dict[str, Any], name: str, message: str) -> None:
    assert told[name].startswith(message.replace("{}", told["folder"]))
    assert "\n" not in told[name]


@pytest.mark.parametrize("name", ["float", "outside"])
def test_a_file_runs_from_end_to_end(trials: Trials, name: str) -> None:
    result = trials[name, 2]
    assert (result.status, result.error) == (Status.OK, None)
    assert result.fidelity is not None and result.fidelity.judged


def test_a_state_is_fed_back_and_a_number_stays(told: dict[str, Any], lab: ExtendedPackage, tmp_path: Path) -> None:
    inputs = (
        InputSpec(value=16000, dtype="int64", name="sr"),
        InputSpec(shape=(2, "batch", 8), state="stateN", name="state"),
        InputSpec(shape=("batch", 8), name="x"),
    )
    workload = WorkloadSpec(model=f"onnx:{told['folder']}/step.onnx", inputs=inputs)
    backends = ("onnxruntime", *(["openvino"] if find_spec("openvino") else []))
    specs = [
        lab.spec(backend, {}, workload=workload, batch_size=3, trial=trial) for trial, backend in enumerate(backends)
    ]
    for result in lab.execute(tmp_path, specs).results:
        assert (result.status, result.error) == (Status.OK, None)
        assert result.fidelity is not None and result.fidelity.max_abs_error < 1e-5
        assert [one.name for one in result.fidelity.outputs] == ["out", "stateN"]


# --------------------------------------------------------------------------------------------------------- content


def key(path: Path) -> tuple[Any, ...]:
    return onnx.cache_key(str(path), onnx.Options())


@pytest.mark.parametrize(
    ("name", "weights"),
    [("outside", ["weights.bin"]), ("long", ["w" * 140 + ".bin"]), ("apart", ["weights", "others"])],
)
def test_the_key_holds_weights_outside_the_file(told: dict[str, Any], name: str, weights: list[str]) -> None:
    folder = Path(told["folder"])
    keys = [key(folder / f"{name}.onnx")]
    assert len(keys[0]) == 1 + len(weights)
    for file in weights:
        data = (folder / file).read_bytes()
        (folder / file).write_bytes(data + b"changed")
        keys.append(key(folder / f"{name}.onnx"))
        (folder / file).write_bytes(data)
    assert len(set(keys)) == len(keys)
    assert key(folder / f"{name}.onnx") == keys[0]


def test_weights_that_are_missing_are_named(told: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(Path(told["folder"], "outside.onnx").read_bytes())
    with pytest.raises(ModelError) as caught:
        key(tmp_path / "model.onnx")
    assert str(caught.value) == f"external data {tmp_path}/weights.bin cannot be read: No such file or directory"


def test_a_model_in_one_file_is_its_own_key(told: dict[str, Any], tmp_path: Path) -> None:
    folder = Path(told["folder"])
    (tmp_path / "same.onnx").write_bytes((folder / "float.onnx").read_bytes())
    assert key(folder / "float.onnx") == key(tmp_path / "same.onnx")
    assert key(folder / "float.onnx") != key(folder / "fixed.onnx")
    assert len(key(folder / "float.onnx")) == 1


# ---------------------------------------------------------------------------------------------------- without a model


def test_the_file_is_found_beside_the_space_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    assert onnx.resolve("model.onnx", tmp_path) == f"{tmp_path}/model.onnx"
    assert onnx.file(f"{tmp_path}/model.onnx") == tmp_path / "model.onnx"
    with pytest.raises(ModelError, match=r"there is no file 'other\.onnx'; looked for in "):
        onnx.resolve("other.onnx", tmp_path)


def test_an_empty_file_has_a_key(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    assert len(key(tmp_path / "model.onnx")) == 1


def test_unavailable_without_onnxruntime() -> None:
    bare = msgspec.structs.replace(fakes.machine(), packages={"torch": "1"})
    assert onnx.unavailable(onnx.Options(), bare) == "onnxruntime not installed; pip install onnxruntime"
    assert onnx.unavailable(onnx.Options(), fakes.machine()) is None
