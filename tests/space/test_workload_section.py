from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from autotune.core.errors import SpaceError
from autotune.core.workload_spec import InputSpec
from autotune.space import load as loading
from autotune.space import workload_section
from tests import machines
from tests.space import space_file
from tests.space.space_file import HEAD, machine
from tests.space.test_domains import node

HW = machines.hardware(2, packages=dict.fromkeys(("torch", "torchvision", "onnx", "onnxruntime"), "1.0"))
IMAGES = [{"shape": ["batch", 3, 8, 8]}]


def load(section: dict[str, Any], folder: Path = Path()) -> Any:
    return workload_section.load(node(section, "workload"), folder, HW)


def test_the_section_is_a_spec() -> None:
    spec = load({"model": "torchvision:resnet18", "inputs": IMAGES, "seed": 3})
    assert (spec.provider, spec.name, spec.seed) == ("torchvision", "resnet18", 3)
    assert spec.inputs == (InputSpec(shape=("batch", 3, 8, 8)),)
    assert spec.options == {"weights": None}


def test_names_that_are_paths_are_those_beside_the_space_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    spec = load({"model": "onnx:model.onnx"}, tmp_path)
    assert (spec.name, spec.inputs) == (str(tmp_path / "model.onnx"), ())
    with pytest.raises(SpaceError, match=r"workload.model 'onnx:other.onnx' cannot be used in s.yaml, line 3; .*other"):
        load({"model": "onnx:other.onnx"}, tmp_path)


def test_a_command_runs_in_the_folder_of_the_space_file(tmp_path: Path) -> None:
    spec = load({"model": "command:./bench {batch_size}"}, tmp_path)
    assert spec.options["folder"] == str(tmp_path.resolve())
    assert spec.inputs == ()


def test_inputs_that_nobody_knows_must_be_written() -> None:
    with pytest.raises(SpaceError, match=r"workload has no 'inputs' in s.yaml, line 3"):
        load({"model": "torchvision:resnet18"})


# --------------------------------------------------------------------------------------------------------------- data


def labelled(folder: Path, written: Any, **more: Any) -> Any:
    (folder / "digits.npz").write_bytes(b"")
    (folder / "own.py").write_text("")
    return load({"model": "torchvision:resnet18", "data": written, **more}, folder)


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("digits.npz", {}),
        ({"source": "digits.npz", "metric": "f1", "samples": 9, "calibration": 3}, {"metric": "f1", "samples": 9}),
        ({"source": "digits.npz", "metric": "own.py:score"}, {"metric": "{folder}/own.py:score"}),
        ("own.py:load", {"source": "{folder}/own.py:load"}),
    ],
)
def test_data_is_the_inputs(tmp_path: Path, written: Any, given: dict[str, Any]) -> None:
    spec = labelled(tmp_path, written)
    assert spec.inputs == ()
    wanted = {"source": "{folder}/digits.npz", "metric": "accuracy", "samples": 1000} | given
    assert {name: getattr(spec.data, name) for name in wanted} == {
        name: value.format(folder=tmp_path.resolve()) if isinstance(value, str) else value
        for name, value in wanted.items()
    }
    assert spec.data.calibration == (3 if "calibration" in written else 64)


def test_without_data_there_is_none() -> None:
    assert load({"model": "torchvision:resnet18", "inputs": IMAGES}).data is None


@pytest.mark.parametrize(
    ("written", "error"),
    [
        (None, "workload.data is null in s.yaml, line 3; allowed: text"),
        (["digits.npz"], "workload.data is a list in s.yaml, line 3; write one value: text"),
        ({"metric": "f1"}, "workload.data has no 'source' in s.yaml, line 3; write such as source: digits.npz"),
        ({"source": "digits.npz", "sample": 3}, "unknown key 'sample' in s.yaml, line 3; did you mean 'samples'"),
        ({"source": "digits.npz", "samples": 0}, "workload.data.samples is 0 in s.yaml, line 3; allowed: a whole"),
        (
            "letters.npz",
            "workload.data 'letters.npz' cannot be used in s.yaml, line 3; there is no file 'letters.npz'; looked",
        ),
        (
            {"source": "digits.npz", "metric": "acuracy"},
            "workload.data.metric 'acuracy' cannot be used in s.yaml, line 3; unknown metric 'acuracy'; did you mean",
        ),
    ],
)
def test_data_that_cannot_be_meant(tmp_path: Path, written: Any, error: str) -> None:
    with pytest.raises(SpaceError, match=f"^{re.escape(error)}"):
        labelled(tmp_path, written)


def test_data_and_inputs_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"^workload has both 'inputs' and 'data' in s.yaml, line 3; write one"):
        labelled(tmp_path, "digits.npz", inputs=IMAGES)


def test_a_commands_answers_are_not_judged(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"^workload.data beside a command in s.yaml, line 3; nobody sees what"):
        load({"model": "command:./bench", "data": "digits.npz"}, tmp_path)


# ------------------------------------------------------------------------------------------------- real inputs


def real(folder: Path, written: Any, model: str = "torchvision:resnet18", **more: Any) -> Any:
    (folder / "pictures").mkdir()
    for name in ("rows.npz", "own.py", "texts.txt"):
        (folder / name).touch()
    return load({"model": model, "inputs": written, **more}, folder)


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("rows.npz", {"source": "{folder}/rows.npz"}),
        ("own.py:rows", {"source": "{folder}/own.py:rows"}),
        ("pictures", {"source": "{folder}/pictures"}),
        ("texts.txt", {"source": "{folder}/texts.txt"}),
        ({"source": "rows.npz"}, {"source": "{folder}/rows.npz"}),
        ({"source": "rows.npz", "samples": 9, "calibration": 3}, {"source": "{folder}/rows.npz", "samples": 9}),
    ],
)
def test_inputs_may_be_real_ones_without_labels(tmp_path: Path, written: Any, given: dict[str, Any]) -> None:
    spec = real(tmp_path, written)
    assert (spec.inputs, spec.labelled, spec.data.metric) == ((), None, None)
    assert spec.data.source == given["source"].format(folder=tmp_path.resolve())
    assert spec.data.samples == given.get("samples", workload_section.UNLABELLED)
    assert spec.data.calibration == (3 if "calibration" in written else 64)


@pytest.mark.parametrize(
    ("written", "error"),
    [
        (
            "none.npz",
            "workload.inputs 'none.npz' cannot be used in s.yaml, line 3; there is no file 'none.npz'; looked",
        ),
        ("none", "workload.inputs 'none' cannot be used in s.yaml, line 3; 'none' is neither a .npz file, a .txt file"),
        ({"samples": 9}, "workload.inputs has no 'source' in s.yaml, line 3; write such as source: images.npz"),
        ({"source": "rows.npz", "metric": "f1"}, "unknown key 'metric' in s.yaml, line 3; "),
        ({"source": "rows.npz", "calibration": 0}, "workload.inputs.calibration is 0 in s.yaml, line 3; allowed: "),
        (3, "workload has no 'inputs' in s.yaml, line 3; write such as inputs: images.npz, or inputs: [{shape: "),
    ],
)
def test_real_inputs_that_cannot_be_meant(tmp_path: Path, written: Any, error: str) -> None:
    with pytest.raises(SpaceError, match=f"^{re.escape(error)}"):
        real(tmp_path, written)


def test_real_inputs_may_be_described(tmp_path: Path) -> None:
    described = [{"shape": ["batch", 512]}, {"shape": [2, "batch", 128], "from": "stateN"}, {"value": 16000}]
    spec = real(tmp_path, {"source": "rows.npz", "described": described})
    assert spec.data.source == f"{tmp_path.resolve()}/rows.npz"
    assert [one.drawn for one in spec.inputs] == [True, False, False]
    with pytest.raises(SpaceError, match=r"^workload.inputs.described leaves the source nothing to give in s.yaml, "):
        load({"model": "torchvision:x", "inputs": {"source": "rows.npz", "described": described[1:]}}, tmp_path)


def test_labelled_rows_may_be_described_too(tmp_path: Path) -> None:
    (tmp_path / "rows.npz").touch()
    described = [{"shape": ["batch", 512]}, {"value": 16000}]
    spec = load({"model": "torchvision:x", "data": {"source": "rows.npz", "described": described}}, tmp_path)
    assert ([one.drawn for one in spec.inputs], spec.data.metric) == ([True, False], "accuracy")


def test_images_and_texts_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(SpaceError, match=r"^workload.data 'pictures' cannot be used in s.yaml, line 3; .* no labels"):
        load({"model": "torchvision:resnet18", "data": "pictures"}, tmp_path)


def test_a_command_takes_no_rows(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"^workload.inputs beside a command in s.yaml, line 3; nobody sees what"):
        real(tmp_path, "rows.npz", "command:./bench")


def test_what_may_be_searched_unjudged_is_named() -> None:
    section = {"model": "torchvision:resnet18", "inputs": IMAGES}
    assert load(section).allow == ()
    for written in ("generated_calibration", ["generated_calibration"]):
        assert load({**section, "allow": written}).allow == ("generated_calibration",)
    with pytest.raises(SpaceError, match=r"^workload.allow is 'int8' in s.yaml, line 3; allowed: gen"):
        load({**section, "allow": "int8"})


# ----------------------------------------------------------------------------------------------- of a whole file


def test_workload_options_and_inputs(folder: Path) -> None:
    (folder / "spaces").mkdir()
    weights = folder / "model.pth"
    weights.write_bytes(b"")
    file = folder / "spaces" / "space.yaml"
    file.write_text(
        "name: toy\nsearch: {}\nworkload:\n  model: torchvision:resnet18\n  seed: 7\n  weights: ../model.pth\n"
        "  inputs:\n    - {shape: [batch, 3], dtype: int64, low: 5, high: 9}\n    - {shape: [batch]}"
    )
    workload = loading.load(file, machine()).workload
    assert (workload.seed, workload.options) == (7, {"weights": str(weights)})
    assert workload.inputs == (
        InputSpec(shape=("batch", 3), dtype="int64", low=5, high=9),
        InputSpec(shape=("batch",)),
    )
    file.write_text(file.read_text().replace("../model.pth", str(weights)))
    assert loading.load(file, machine()).workload == workload


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ("{}", "workload has no 'model' in space.yaml, line 2; write one such as model: torchvision:resnet50"),
        ("resnet50", "workload has no 'model' in space.yaml, line 2; write one such as model: torchvision:resnet50"),
        (
            "{model: 'torchvision:'}",
            "workload.model is 'torchvision:' in space.yaml, line 2; write torchvision: and the model's name",
        ),
        (
            "{model: torchvision:resnet18}",
            "workload has no 'inputs' in space.yaml, line 2"
            "; write such as inputs: images.npz, or inputs: [{shape: [batch, 3, 224, 224], dtype: float32}]",
        ),
        (
            "\n  model: torchvision:resnet18\n  inputs: []",
            "workload has no 'inputs' in space.yaml, line 4"
            "; write such as inputs: images.npz, or inputs: [{shape: [batch, 3, 224, 224], dtype: float32}]",
        ),
        (
            "{model: torchvision:resnet18, seed: -1, inputs: [{shape: [batch]}]}",
            "workload.seed is -1 in space.yaml, line 2; allowed: a whole number from 0",
        ),
        (
            "\n  model: torchvision:resnet18\n  weights: none.pth\n  inputs: [{shape: [batch]}]",
            "workload.weights names the missing file 'none.pth' in space.yaml, line 4; looked for in {folder}",
        ),
        *(
            (
                f"{{model: torchvision:resnet18, inputs: [{{{text}}}]}}",
                f"{key} in space.yaml, line 2; {hint}",
            )
            for text, key, hint in (
                ("dtype: int32", "workload.inputs[0].shape is missing", "write such as [batch, 3, 224, 224]"),
                ("shape: 3", "workload.inputs[0].shape is 3", "write such as [batch, 3, 224, 224]"),
                (
                    "shape: [batch, batch]",
                    "workload.inputs[0].shape has batch twice",
                    "write such as [batch, 3, 224, 224]",
                ),
                ("shape: [3, Batch]", "workload.inputs[0].shape[1] is 'Batch'", "allowed: a whole number from 1"),
                ("shape: [batch, 0]", "workload.inputs[0].shape[1] is 0", "allowed: a whole number from 1"),
                (
                    "shape: [batch], dtype: float8",
                    "workload.inputs[0].dtype is 'float8'",
                    "allowed: bfloat16, bool, float16, float32, float64, int32, int64, int8, uint8; "
                    "did you mean 'float64' or 'float32' or 'float16'?",
                ),
                (
                    "shape: [batch], dtype: int64, low: 5",
                    "workload.inputs[0] has low 5 and high 2",
                    "low must be below high",
                ),
            )
        ),
    ],
)
def test_a_workload_that_cannot_be_built_is_named_in_one_line(workload: str, message: str, folder: Path) -> None:
    assert space_file.refusal(f"name: toy\nworkload: {workload}\nsearch: {{}}") == message.replace(
        "{folder}", str(folder)
    )


def test_a_provider_that_is_not_installed(folder: Path) -> None:
    message = space_file.refusal(HEAD + "search: {}", machine(packages={"torch": "1"}))
    assert message.startswith(
        "workload.model 'torchvision:resnet18' cannot be used here in space.yaml, line 3; torchvision"
    )
