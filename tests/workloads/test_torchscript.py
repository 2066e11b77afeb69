from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.workloads import torchscript
from tests.backends import child

CHILD = """
import torch
from autotune.backends import _export, _onnx, _traced, openvino, torch_compile, torch_eager
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.models.workload import BuiltWorkload

(folder / "scaled.py").write_text('''
import torch

class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 4)

    def forward(self, x, rate: int):
        return self.layer(x) * (2.0 if rate == 16000 else 1.0)
''')
sys.path.append(str(folder))
from scaled import Scaled

torch.manual_seed(0)
module = torch.jit.script(Scaled())
torch.jit.save(module, folder / "scaled.pt")
(folder / "no.pt").write_text("this is no module")

def workload(name, rate=16000):
    inputs = (InputSpec(shape=("batch", 8)), InputSpec(value=rate, dtype="int64"))
    return BuiltWorkload(WorkloadSpec(model=f"torchscript:{folder}/{name}.pt", inputs=inputs))

given = workload("scaled")
arrays = given.arrays(3)
eager = torch_eager.load(given, torch_eager.Options(), configured("torch_eager"), None)
wanted = module(torch.from_numpy(arrays[0]), 16000).detach().numpy()
told["eager"] = bool(np.allclose(eager.outputs(eager(eager.convert(arrays)))[0], wanted))
told["proven"] = torch_eager.applied(eager, torch_eager.Options(), configured("torch_eager"))
options = openvino.Options(frontend="torch")
openvino.prepare(given, options, configured("openvino"), None, folder, None)
session = openvino.load(given, options, configured("openvino", 1, 3), folder)
told["openvino"] = bool(np.allclose(session.outputs(session(session.convert(arrays)))[0], wanted, atol=1e-5))
told["refused"] = [
    failure(_onnx.export, given, folder / "m.onnx"),
    failure(_export.program, _export.flat(given.module()), list(map(torch.from_numpy, arrays)), (0,)),
    failure(torch_compile.load, given, torch_compile.Options(), configured("torch_compile"), None),
]
told["no module"] = failure(workload("no").module)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("torchscript")
    return {"folder": str(folder), **child.told(CHILD, folder, "torch", "openvino", "onnx", "onnxscript")}


def test_eager_and_openvino_run_it_with_numbers_as_they_are(told: dict[str, Any]) -> None:
    assert told["eager"] and told["openvino"]
    assert told["proven"] is None


def test_what_has_to_look_into_it_refuses_it(told: dict[str, Any]) -> None:
    (message,) = set(told["refused"])
    assert message.startswith("a TorchScript module can be neither exported nor compiled; use torch_eager, or openvino")


def test_a_file_that_is_no_module_is_said(told: dict[str, Any]) -> None:
    assert told["no module"].startswith(f"{told['folder']}/no.pt is not a module that torch.jit.save wrote: ")


def test_the_content_is_the_key(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"one")
    (tmp_path / "b.pt").write_bytes(b"two")
    keys = [torchscript.cache_key(str(tmp_path / name), torchscript.Options()) for name in ("a.pt", "b.pt")]
    assert keys[0] != keys[1]
    assert torchscript.resolve("a.pt", tmp_path) == f"{tmp_path}/a.pt"
    assert torchscript.judged("a.pt", torchscript.Options())
