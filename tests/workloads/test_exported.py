from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.errors import ModelError
from autotune.core.results import Status
from autotune.core.workload_spec import WorkloadSpec
from autotune.workloads import exported
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.study import fakes

CHILD = """
import torch
from torch import nn
from autotune.core.workload_spec import WorkloadSpec
from autotune.models.workload import BuiltWorkload

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.dropout = nn.Linear(6, 3), nn.Dropout(0.5)

    def forward(self, x, y, *, scale=None):
        out = self.dropout(self.linear(x)) + y
        return out if scale is None else out * scale

model = Two().eval()
rows = torch.randn(3, 6), torch.randn(3, 3)
batch = torch.export.Dim("batch")
both = ({0: batch}, {0: batch})

def save(name, *given, inputs=True, **named):
    program = torch.export.export(model, *given, **named)
    if not inputs:
        program.example_inputs = None
    torch.export.save(program, folder / f"{name}.pt2")

save("dynamic", rows, dynamic_shapes=both)
save("fixed", rows)
save("by_name", (rows[0],), {"y": rows[1]})
save("bare", rows, dynamic_shapes=both, inputs=False)

class Recurrent(nn.Module):
    def forward(self, scale, x, state):
        return scale * x + state.sum(0)

given = torch.tensor(2.0), torch.randn(3, 4), torch.randn(2, 3, 4)
places = (None, {0: batch}, {1: batch})
torch.export.save(torch.export.export(Recurrent(), given, dynamic_shapes=places), folder / "recurrent.pt2")
(folder / "text.pt2").write_text("this is no program")
torch.save(model.state_dict(), folder / "weights.pt2")

def workload(name):
    return BuiltWorkload(WorkloadSpec(model=f"exported:{folder}/{name}.pt2", inputs=()))

found = workload("dynamic").arrays(5)
told["arrays"] = [[str(a.dtype), *a.shape] for a in found]
told["repeated"] = bool((found[0] == rows[0].numpy()[[0, 1, 2, 0, 1]]).all())
module = workload("dynamic").module()
told["training"] = any(part.training for part in module.modules())
told["answers"] = []
for size in (1, 3, 5):
    some = tuple(torch.from_numpy(array) for array in workload("dynamic").arrays(size))
    with torch.inference_mode():
        told["answers"].append(torch.allclose(module(*some), model(*some)))
told["recurrent"] = [list(array.shape) for array in workload("recurrent").arrays(5)]
told["fixed"] = [failure(workload("fixed").arrays, size) for size in (3, 8)]
for name in ("by_name", "bare", "text", "weights"):
    told[name] = failure(workload(name).arrays, 2)
from autotune.workloads import exported
told["names"] = exported.input_names(str(folder / "dynamic.pt2"), exported.Options())
told["text module"] = failure(workload("text").module)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("exported")
    return {"folder": str(folder), **child.told(CHILD, folder, "torch")}


def test_inputs_are_those_that_it_was_exported_with(told: dict[str, Any]) -> None:
    assert told["arrays"] == [["float32", 5, 6], ["float32", 5, 3]]
    assert told["repeated"]


def test_the_program_answers_as_its_model_at_any_batch_size(told: dict[str, Any]) -> None:
    assert told["answers"] == [True, True, True]
    assert not told["training"]


def test_the_batch_may_stand_elsewhere_beside_a_single_number(told: dict[str, Any]) -> None:
    assert told["recurrent"] == [[], [5, 4], [2, 5, 4]]


def test_a_fixed_batch_is_refused_for_another(told: dict[str, Any]) -> None:
    fits, other = told["fixed"]
    assert fits is None
    assert other == (
        f"{told['folder']}/fixed.pt2 was exported for batches of 3 only (by its input x); "
        "export it with dynamic_shapes=({0: torch.export.Dim('batch')}, ...)"
    )


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("by_name", "{}/by_name.pt2 takes y by name; export it with all inputs by position"),
        ("bare", "{}/bare.pt2 holds no example inputs; write workload.inputs"),
        ("text", "{}/text.pt2 is not a program that torch.export.save wrote: "),
        ("weights", "{}/weights.pt2 is not a program that torch.export.save wrote: "),
        ("text module", "{}/text.pt2 is not a program that torch.export.save wrote: "),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(told: dict[str, Any], case: str, message: str) -> None:
    assert told[case].startswith(message.format(told["folder"]))
    assert "\n" not in told[case]


def test_the_inputs_have_the_names_of_the_export(told: dict[str, Any]) -> None:
    assert told["names"] == {"x": True, "y": True}


@pytest.mark.slow
def test_a_program_runs_from_end_to_end(told: dict[str, Any], lab: ExtendedPackage, tmp_path: Path) -> None:
    workload = WorkloadSpec(model=f"exported:{told['folder']}/dynamic.pt2", inputs=())
    backends = ("torch_eager", "onnxruntime")
    specs = [lab.spec(backend, {}, workload=workload, trial=trial) for trial, backend in enumerate(backends)]
    for result in lab.execute(tmp_path, specs).results:
        assert (result.status, result.error) == (Status.OK, None)
        assert result.fidelity is not None and result.fidelity.judged
        assert result.fidelity.max_abs_error < 1e-5


# ---------------------------------------------------------------------------------------------------- without a program


def test_the_file_is_found_beside_the_space_file(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").touch()
    assert exported.resolve("model.pt2", tmp_path) == f"{tmp_path}/model.pt2"
    with pytest.raises(ModelError, match=r"there is no file 'other\.pt2'; looked for in "):
        exported.resolve("other.pt2", tmp_path)


def test_the_content_is_the_key(tmp_path: Path) -> None:
    keys = []
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
        keys.append(exported.cache_key(str(tmp_path / name), exported.Options()))
    assert keys[0] == keys[1] != keys[2]


def test_unavailable_without_torch() -> None:
    bare = msgspec.structs.replace(fakes.machine(), packages={})
    assert exported.unavailable(exported.Options(), bare) == "torch not installed; pip install torch"
    assert exported.unavailable(exported.Options(), fakes.machine()) is None
