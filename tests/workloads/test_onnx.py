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
from tests.workloads.onnx_child import CHILD

Trials = dict[tuple[str, int], TrialResult]
SIZES, OTHER = (3, 4, 16), 8
"""Fixed sizes of batches, and one that none of the models takes."""


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
