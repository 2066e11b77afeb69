from __future__ import annotations

from typing import Any

import pytest

from tests.backends import child

CHILD = """
import torch
from autotune.backends import _export, torch_eager
from tests.backends.tiny_torch import Workload

def exported(name, strict=False, precision="float32"):
    given = Workload(name)
    example = [torch.from_numpy(array) for array in given.arrays(_export.EXAMPLE_ROWS)]
    return _export.program(_export.flat(given.module(), precision), example, given.batch_axes, strict=strict)

for strict in (False, True):
    for name in ("fixed", "branching"):
        told[f"{name} {strict}"] = failure(exported, name, strict)

for precision, strict in (("float32", True), ("bfloat16", False)):
    session = torch_eager.TorchSession(exported("words", strict, precision).module(), torch_eager.Options())
    told[precision] = [Workload("words").error(session, rows) for rows in (1, 2, 5)]
    told[f"{precision} types"] = [str(t.dtype) for t in session(session.convert(Workload("words").arrays(2)))]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("export"), "torch")


def test_a_program_answers_as_the_model_does_at_every_batch_size(told: dict[str, Any]) -> None:
    assert max(told["float32"]) < 1e-8
    assert told["float32 types"] == ["torch.float32", "torch.float32"]


def test_bfloat16_is_part_of_the_program(told: dict[str, Any]) -> None:
    assert 1e-8 < max(told["bfloat16"]) < 1e-2
    assert told["bfloat16 types"] == ["torch.bfloat16", "torch.float32"]


@pytest.mark.parametrize("strict", [False, True])
def test_a_model_that_cannot_be_exported_says_why_in_one_line(told: dict[str, Any], strict: bool) -> None:
    fixed, branching = told[f"fixed {strict}"], told[f"branching {strict}"]
    assert fixed.startswith("the batch dimension cannot vary: ")
    assert fixed.endswith("specialized it to be a constant (2)")
    assert branching.startswith("torch.export cannot take the model: tiny_torch.py, line ")
    assert "`return images * 2 if images.sum() > 0 else images`: " in branching
    assert "\n" not in fixed + branching
