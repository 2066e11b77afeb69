from __future__ import annotations

import re
from typing import Any

import pytest

from autotune.core.errors import SpaceError
from autotune.core.workload_spec import InputSpec
from autotune.space import input_section
from tests.space.test_domains import node

BATCH = {"shape": ["batch", 16]}


def load(*items: dict[str, Any]) -> tuple[InputSpec, ...]:
    return input_section.load(node(list(items), "workload.inputs"))


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ({"shape": [2, "batch", 8]}, InputSpec(shape=(2, "batch", 8))),
        ({"shape": []}, InputSpec(shape=())),
        ({"shape": ["batch"], "dtype": "float16"}, InputSpec(shape=("batch",), dtype="float16")),
        ({"shape": ["batch"], "dtype": "uint8"}, InputSpec(shape=("batch",), dtype="uint8", low=0, high=256)),
        ({"shape": ["batch"], "dtype": "int8", "low": -3}, InputSpec(shape=("batch",), dtype="int8", low=-3, high=128)),
        ({"shape": ["batch"], "dtype": "int64", "high": 9}, InputSpec(shape=("batch",), dtype="int64", high=9)),
        ({"shape": ["batch"], "high": 1}, InputSpec(shape=("batch",), low=0, high=1.0, bounded=True)),
        ({"shape": ["batch"], "name": "ids"}, InputSpec(shape=("batch",), name="ids")),
        ({"shape": [2, "batch"], "from": "stateN"}, InputSpec(shape=(2, "batch"), state="stateN")),
        (
            {"shape": [2, "batch"], "from": 1, "low": 0, "high": 1},
            InputSpec(shape=(2, "batch"), state="1", high=1.0, bounded=True),
        ),
        ({"value": 16000, "dtype": "int32"}, InputSpec(value=16000, dtype="int32")),
        ({"value": 16000}, InputSpec(value=16000, dtype="int64")),
        ({"value": 0.5}, InputSpec(value=0.5)),
        ({"value": True}, InputSpec(value=True, dtype="bool")),
        ({"value": [[1, 2], [3, 4.5]], "name": "table"}, InputSpec(value=[[1, 2], [3, 4.5]], name="table")),
    ],
)
def test_what_can_be_expressed(written: dict[str, Any], spec: InputSpec) -> None:
    assert load(BATCH, written) == (InputSpec(shape=("batch", 16)), spec)


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ({"shape": [2, 3]}, "no input has 'batch' in its shape in s.yaml, line 3; write such as [batch, 3, 224, 224]"),
        ({}, "workload.inputs[0].shape is missing in s.yaml, line 3; write such as [batch, 3, 224, 224]"),
        ({"shape": ["batch", 2, "batch"]}, "workload.inputs[0].shape has batch twice in s.yaml, line 3; write such"),
        ({"shape": ["batch"], "dtype": "bool", "low": 0}, "workload.inputs[0].low beside dtype bool in s.yaml, line 3"),
        (
            {"shape": ["batch"], "dtype": "uint8", "high": 300},
            "workload.inputs[0].high is 300 in s.yaml, line 3; uint8 lies from 0 up to 255",
        ),
        (
            {"shape": ["batch"], "from": 1.0},
            "workload.inputs[0].from is 1.0 in s.yaml, line 3; write an output's number, or its name in quotes",
        ),
        (
            {"value": 3, "shape": ["batch"]},
            "workload.inputs[0].shape beside a value in s.yaml, line 3; a constant has dtype and name alone",
        ),
        (
            {"value": "fast"},
            "workload.inputs[0].value is 'fast' in s.yaml, line 3; write a number, or numbers in lists",
        ),
        ({"value": []}, "workload.inputs[0].value is an empty list in s.yaml, line 3; write a number, or numbers"),
        (
            {"value": [[1, 2], [3]]},
            "workload.inputs[0].value has lists of different lengths in s.yaml, line 3; give all of them the same",
        ),
        ({"value": 300, "dtype": "uint8"}, "workload.inputs[0].value holds 300 in s.yaml, line 3; dtype is uint8"),
        ({"value": 1.5, "dtype": "int64"}, "workload.inputs[0].value holds 1.5 in s.yaml, line 3; dtype is int64"),
        ({"value": [1, True]}, "workload.inputs[0].value holds true in s.yaml, line 3; dtype is int64"),
        ({"shape": ["batch"], "nam": "x"}, "unknown key 'nam' in s.yaml, line 3; did you mean 'name'"),
    ],
)
def test_what_cannot_be_meant(written: dict[str, Any], error: str) -> None:
    with pytest.raises(SpaceError, match=f"^{re.escape(error)}"):
        load(written)


def test_two_inputs_of_one_name() -> None:
    with pytest.raises(SpaceError, match=r"^workload.inputs\[1\] is the second input named 'x' in s.yaml, line 3; "):
        load({"shape": ["batch"], "name": "x"}, {"shape": ["batch"], "name": "x"})
