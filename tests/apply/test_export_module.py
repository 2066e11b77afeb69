"""Handing a module on, in processes of their own, since no test imports a framework itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from tests.apply import tiny
from tests.test_main import Place

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

START = """
import torch
from torch import nn
from autotune.apply import export_module
"""


def told(place: Place, script: str) -> dict[str, Any]:
    (place.folder / "net.py").write_text(tiny.MODEL)
    return tiny.told(place, START + script)


def test_a_module_travels_with_its_weights_and_named_outputs(place: Place) -> None:
    found = told(
        place,
        """
import net
model = net.net().train()
model.last.eval()
exported = export_module.export(model, torch.randn(1, 3, 8, 8))
exported.save(Path("model.pt2"))
module = torch.export.load("model.pt2").module()
images = torch.randn(5, 3, 8, 8)
with torch.no_grad():
    got, wanted = module(images), model.eval()(images)
told |= {
    "close": all(torch.allclose(got[name], wanted[name], atol=1e-5) for name in wanted),
    "names": sorted(got),
    "digests": [
        len(exported.digest), exported.digest == export_module.export(net.net(), torch.zeros(1, 3, 8, 8)).digest
    ],
    "files": sorted(path.name for path in Path().glob("*.pt2")),
    "images": exported.images, "rows": exported.rows, "input_names": exported.names,
}
""",
    )
    assert (found["close"], found["names"], found["files"]) == (True, ["logits", "pooled"], ["model.pt2"])
    assert (found["images"], found["rows"], found["input_names"]) == (True, 1, None)
    assert found["digests"] == [64, False]  # other examples


def test_the_same_model_has_the_same_digest_and_is_left_as_it_was(place: Place) -> None:
    found = told(
        place,
        """
import net
examples = torch.ones(2, 3, 8, 8)
model = net.net().train()
model.last.eval()
first = export_module.export(model, examples).digest
told["modes"] = [model.training, model.first.training, model.last.training]
told["same"] = first == export_module.export(net.net(), examples).digest
with torch.no_grad():
    model.last.bias[0] += 1
told["other"] = first == export_module.export(model, examples).digest
""",
    )
    assert found == {"modes": [True, True, False], "same": True, "other": False}


def test_inputs_by_name_and_outputs_that_are_no_tensors(place: Place) -> None:
    found = told(
        place,
        """
class Several(nn.Module):
    def forward(self, left, *, right, scale=2):
        return {"sum": left + right, "nothing": None, "parts": (left, [right])}

exported = export_module.export(Several(), {"right": torch.ones(2, 3), "left": torch.zeros(2, 3)})
got = exported.program.module()(torch.ones(4, 3), torch.zeros(4, 3))
told |= {"names": exported.names, "keys": list(got), "sum": float(got["sum"].sum()), "images": exported.images}
""",
    )
    assert found == {"names": ["right", "left"], "keys": ["sum", "parts"], "sum": 12.0, "images": False}


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


def test_what_cannot_be_handed_on_is_said_in_a_line(place: Place) -> None:
    asked = "\n".join(
        f"told[{number}] = failure(export_module.export, {model}, {inputs})"
        for number, (model, inputs, _) in enumerate(REFUSED)
    )
    script = f"""
class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

class Fixed(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1)

{asked}
"""
    errors = told(place, script)
    for number, (model, inputs, message) in enumerate(REFUSED):
        error = errors[str(number)]
        assert message in error and "\n" not in error, (model, inputs)
