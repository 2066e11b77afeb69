from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune import workload_section
from autotune.errors import SpaceError
from autotune.types import InputSpec
from tests import machines
from tests.test_domains import node

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
    with pytest.raises(SpaceError, match=r"workload has no list of 'inputs' in s.yaml, line 3"):
        load({"model": "torchvision:resnet18"})
