"""What inputs and outputs can be, through the runtimes that make a model of their own from a torch module."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import child

CHILD = """
from dataclasses import dataclass
import torch
from torch import nn
from autotune.backends import onnxruntime, openvino, torch_eager
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.models.workload import BuiltWorkload
from autotune.worker import output_layout
from autotune.workloads import _arguments

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(8, 16, 2)
    def forward(self, x, state):
        return self.cell(x, state)

@dataclass
class Answer:
    logits: torch.Tensor
    again: torch.Tensor
    scale: torch.Tensor
    loss: object = None

class Answers(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_0, self.scale = nn.Linear(8, 4), nn.Buffer(torch.tensor(3.0))
    def forward(self, x):
        logits = self.input_0(x)
        return Answer(logits, logits, self.scale * 1)

class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_0 = nn.Parameter(torch.ones(8, 4))
    def forward(self, x, scale=1, mask=None, table=None):
        return x @ self.input_0 * scale + (0 if table is None else x @ table)

rows = InputSpec(shape=("batch", 8))
table = InputSpec(value=[[0.5] * 4] * 8, name="table")
kinds = {
    "state": (Recurrent, (InputSpec(shape=(5, "batch", 8)), InputSpec(shape=(2, "batch", 16), state="1"))),
    "outputs": (Answers, (rows,)),
    "names": (Named, (rows, InputSpec(value=3, name="scale", dtype="int64"), table)),
}

class Given(BuiltWorkload):
    def __init__(self, kind, inputs):
        super().__init__(WorkloadSpec(model="python:model.py:build", inputs=inputs))
        self.kind = kind
    def module(self):
        torch.manual_seed(0)
        return _arguments.rebound(self.kind().eval(), self.spec.inputs)

def answers(session, given, layout):
    return layout.in_front(session.outputs(session(session.convert(given.arrays(3)))), 3)

for name, (kind, inputs) in kinds.items():
    given = Given(kind, inputs)
    eager = torch_eager.load(given, torch_eager.Options(), configured("torch_eager"), None)
    layout = output_layout.of(eager, given.arrays(8), given.batch_axes, fixed=False)
    wanted = answers(eager, given, layout)
    told[name] = {"axes": layout.axes}
    for backend, options in ((onnxruntime, onnxruntime.Options()), (openvino, openvino.Options(frontend="torch"))):
        made = folder / name / backend.__name__
        made.mkdir(parents=True)
        backend.prepare(given, options, configured("openvino"), this_machine, made, None)
        found = answers(backend.load(given, options, configured("openvino", 1, 3), made), given, layout)
        told[name][backend.__name__] = [
            one.shape == other.shape and bool(np.allclose(one, other, atol=1e-4))
            for one, other in zip(found, wanted, strict=True)
        ]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    needed = ("torch", "onnxruntime", "openvino", "onnx", "onnxscript")
    return child.told(CHILD, tmp_path_factory.mktemp("expressed"), *needed)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "axes"), [("state", [1, 1]), ("outputs", [0, 0, None]), ("names", [0])], ids=str)
def test_a_module_answers_alike_in_every_runtime(told: dict[str, Any], kind: str, axes: list[int | None]) -> None:
    assert told[kind]["axes"] == axes
    for runtime in ("onnxruntime", "openvino"):
        assert told[kind][f"autotune.backends.{runtime}"] == [True] * len(axes)
