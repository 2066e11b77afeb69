"""Handing a module on, in processes of their own, since no test imports a framework itself."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.apply import tiny
from tests.place import Place

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

NAMED = """
import net, torch
from torch import nn
from autotune.apply import export_module
model = net.net().train()
model.last.eval()
exported = export_module.export(model, torch.randn(1, 3, 8, 8))
exported.save(Path("model.pt2"))
module = torch.export.load("model.pt2").module()
images = torch.randn(5, 3, 8, 8)
with torch.no_grad():
    got, expected = module(images), net.net()(images)
told["named"] = {
    "close": all(torch.allclose(got[name], expected[name], atol=1e-5) for name in expected),
    "names": sorted(got),
    "digest": len(exported.digest),
    "files": sorted(path.name for path in Path().glob("*.pt2")),
    "images": exported.images, "input_names": exported.names,
}
"""
SAME = """
examples = torch.ones(2, 3, 8, 8)
first = export_module.export(model, examples).digest
told["same"] = {
    "modes": [model.training, model.first.training, model.last.training],
    "same": first == export_module.export(net.net(), examples).digest,
    "other examples": first == exported.digest,
}
with torch.no_grad():
    model.last.bias[0] += 1
told["same"]["other weights"] = first == export_module.export(model, examples).digest
"""
SEVERAL = """
class Several(nn.Module):
    def forward(self, left, *, right, scale=2):
        return {"sum": left + right, "nothing": None, "parts": (left, [right])}

exported = export_module.export(Several(), {"right": torch.ones(2, 3), "left": torch.zeros(2, 3)})
got = exported.program.module()(torch.ones(4, 3), torch.zeros(4, 3))
told["several"] = {
    "names": exported.names, "keys": list(got), "sum": float(got["sum"].sum()), "images": exported.images
}
"""
REFUSED = (
    ("lambda x: x", "torch.ones(2)", "the model is a function; give a torch.nn.Module, or write a function"),
    ("nn.ReLU()", "3", "example_inputs are an int; give a tensor"),
    ("nn.ReLU()", "()", "example_inputs are empty; give a tensor"),
    ("nn.ReLU()", "(torch.ones(2), 3)", "example input 1 is an int; give a tensor whose first"),
    ("nn.ReLU()", "{'x': torch.ones(())}", "example input 'x' is a tensor of shape []"),
    ("nn.ReLU()", "(torch.ones(2), torch.ones(3))", "the example inputs have 2, 3 rows"),
    ("nn.Linear(2, 2, device='meta')", "torch.ones(2, 2)", "weight is on meta; give a model and inputs on the CPU"),
    ("Branching()", "torch.ones(2, 2)", "tune `model: python:FILE.py:FUNCTION` with a space file"),
    ("Fixed()", "torch.ones(2, 2)", "tune `model: python:FILE.py:FUNCTION` with a space file"),
)


UNFIT = """
class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

class Fixed(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> dict[str, Any]:
    place = Place(tmp_path_factory.mktemp("exported"), shared / "cache")
    (place.folder / "net.py").write_text(tiny.MODEL)
    asked = (f"failure(export_module.export, {model}, {inputs})" for model, inputs, _ in REFUSED)
    return tiny.told(place, f"{NAMED}{SAME}{SEVERAL}{UNFIT}\ntold['refused'] = [{', '.join(asked)}]")


def test_a_module_travels_with_its_weights_and_named_outputs(told: dict[str, Any]) -> None:
    assert told["named"] == {
        "close": True,
        "names": ["logits", "pooled"],
        "digest": 64,
        "files": ["model.pt2"],
        "images": True,
        "input_names": None,
    }


def test_the_same_model_has_the_same_digest_and_is_left_as_it_was(told: dict[str, Any]) -> None:
    assert told["same"] == {
        "modes": [True, True, False],
        "same": True,
        "other examples": False,
        "other weights": False,
    }


def test_inputs_by_name_and_outputs_that_are_no_tensors(told: dict[str, Any]) -> None:
    assert told["several"] == {"names": ["right", "left"], "keys": ["sum", "parts"], "sum": 12.0, "images": False}


def test_what_cannot_be_handed_on_is_said_in_a_line(told: dict[str, Any]) -> None:
    for (model, inputs, message), error in zip(REFUSED, told["refused"], strict=True):
        assert message in error and "\n" not in error, (model, inputs)
