from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.backends import child

MADE = """
from autotune.backends import openvino as backend
from tests.backends.tiny_torch import Workload

def made(name, precision="float32"):
    end, start = folder / f"{name}_{precision}", folder / f"{name}_float32"
    end.mkdir()
    options = backend.Options(frontend="torch", precision=precision)
    given = Workload(name)
    backend.prepare(given, options, configured("openvino"), this_machine, end, start)
    session = backend.load(given, options, configured("openvino"), end)
    errors = [given.error(session, rows) for rows in ((4,) if name == "branching" else (4, 1))]
    told[f"{name} {precision}"] = [backend.applied(session, options, configured("openvino")), *errors]

for name in ("images", "words"):
    made(name)
    made(name, "int8")
"""

MORE = (
    MADE
    + """
made("branching")
told["fixed"], told["no trace"] = failure(made, "fixed"), failure(made, "broken")
"""
)


def check(told: dict[str, Any], name: str) -> None:
    reason, *errors = told[f"{name} float32"]
    assert reason is None and max(errors) < 1e-8
    reason, *errors = told[f"{name} int8"]
    assert reason is None and 1e-8 < max(errors) < 1e-2


def test_a_traced_module_answers_as_it_does(tmp_path: Path) -> None:
    told = child.told(MORE, tmp_path, "openvino", "torch", "nncf")
    check(told, "words")
    check(told, "images")
    assert told["branching float32"][0] is None  # which torch.onnx refuses
    assert told["fixed"] == "the batch dimension cannot vary: the model's code fixes it to 2 when it is traced"
    assert told["no trace"].startswith("OpenVINO cannot take the torch module: tiny_torch.py, line ")


def test_answers_are_kept_without_vnni_too(tmp_path: Path) -> None:
    told = child.told(MADE, tmp_path, "openvino", "torch", "nncf", env=child.HELD)
    check(told, "words")
    check(told, "images")
