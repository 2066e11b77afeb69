from __future__ import annotations

import re
from typing import Any

import pytest

from autotune.core.errors import SpaceError
from tests.space.test_workload_section import IMAGES, load


@pytest.mark.parametrize("written", [["MODEL_DIR", "PYTHONPATH"], ["HF_HOME"], "MODEL_DIR"])
def test_variables_are_named(written: Any) -> None:
    names = tuple([written] if isinstance(written, str) else written)
    assert load({"model": "torchvision:resnet18", "inputs": IMAGES, "env": written}).env == names
    assert load({"model": "command:./bench", "env": written}).env == names


def test_no_variable_is_named_by_itself() -> None:
    assert load({"model": "torchvision:resnet18", "inputs": IMAGES}).env == ()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            {"MODEL_DIR": "/models"},
            "is a mapping in s.yaml, line 3; write names alone, such as [MODEL_DIR]: values",
        ),
        (["MODEL_DIR=/models"], "workload.env[0] is 'MODEL_DIR=/models' in s.yaml, line 3; allowed: the name of a var"),
        (["A", "A"], "workload.env has 'A' twice in s.yaml, line 3"),
        ([], "workload.env is an empty list in s.yaml, line 3"),
        (
            ["OMP_NUM_THREADS"],
            "has OMP_NUM_THREADS, which changes what is measured in s.yaml, line 3; what may",
        ),
        (
            ["LD_PRELOAD"],
            "has LD_PRELOAD, which changes what is measured in s.yaml, line 3; what may vary",
        ),
    ],
)
def test_a_value_or_a_setting_is_no_variable_of_the_users(written: Any, says: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(says)):
        load({"model": "torchvision:resnet18", "inputs": IMAGES, "env": written})
