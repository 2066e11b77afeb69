from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.results import Status
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.workloads import python
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.study import fakes

MODEL = """
import torch
from torch import nn
from beside import WIDTH

def build():
    return nn.Sequential(nn.Linear(WIDTH, 4), nn.Dropout(0.5))

def with_one_input():
    return build(), torch.randn(3, WIDTH, requires_grad=True)

class Sum(nn.Module):
    def forward(self, x, y):
        return x + y.float()

def with_two_inputs():
    return Sum(), (torch.ones(2, 3).t(), torch.arange(3))

class Masked(nn.Module):
    def forward(self, x, scale, mask=None, offset=None):
        x = x if mask is None else x * mask
        return x * scale + (0 if offset is None else offset)

def by_name():
    return Masked(), {"scale": 3, "mask": torch.tensor([[1.0, 0.0]] * 3), "x": torch.arange(6.0).reshape(3, 2)}

def by_place():
    return Masked(), (torch.arange(6.0).reshape(3, 2), 2.0, None, torch.tensor(10.0))

def state_second():
    return Masked(), (torch.ones(3, 2), torch.ones(2, 3, 2))

def misspelt():
    return Masked(), {"x": torch.ones(3, 2), "scal": 3}

def number():
    return 3

def wrong_pair():
    return "model", "inputs"

def no_tensor():
    return build(), (torch.ones(2, WIDTH), [1, 2])

def no_rows():
    return build(), torch.tensor(1.0)

def text_input():
    return build(), "inputs"

def other_rows():
    return Sum(), (torch.ones(2, 3), torch.ones(4, 3))

def fails():
    raise RuntimeError("no such weights:\\n  weights.pt\\n")

def leaves():
    raise SystemExit(2)

def needs_more(width):
    return nn.Linear(width, 4)
"""

CHILD = """
import torch
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.models.workload import BuiltWorkload
from autotune.workloads import python

def workload(name, seed=0):
    return BuiltWorkload(WorkloadSpec(model=f"python:{name}", inputs=(), seed=seed))

file = folder / "my" / "model.py"
one = workload(f"{file}:build").module()
told["training"] = one.training
told["answers"] = list(one(torch.ones(2, 8)).shape)
told["same seed"] = torch.equal(one[0].weight, workload(f"{file}:build").module()[0].weight)
told["other seed"] = torch.equal(one[0].weight, workload(f"{file}:build", 1).module()[0].weight)

(rows,) = workload(f"{file}:with_one_input").arrays(5)
told["repeated"] = [list(rows.shape), bool((rows[3:] == rows[:2]).all()), bool((rows[0] == rows[1]).any())]
told["two"] = [[str(a.dtype), *a.shape] for a in workload(f"{file}:with_two_inputs").arrays(3)]
for name in ("by_name", "by_place"):
    given = workload(f"{file}:{name}")
    arrays = given.arrays(3)
    told[name] = [given.module()(*map(torch.from_numpy, arrays)).tolist(), given.batch_axes]
told["state_second"] = workload(f"{file}:state_second").batch_axes
told["misspelt"] = failure(workload(f"{file}:misspelt").module)
described = (InputSpec(shape=("batch", 2), name="x"), InputSpec(value=4, name="scale", dtype="int64"))
described = BuiltWorkload(WorkloadSpec(model=f"python:{file}:by_name", inputs=described))
told["described"] = described.module()(*map(torch.from_numpy, described.arrays(3))).tolist()
told["four times"] = (4 * described.arrays(3)[0]).tolist()
told["bad inputs"] = {
    name: failure(workload(f"{file}:{name}").arrays, 2)
    for name in ("build", "no_tensor", "no_rows", "text_input", "other_rows")
}
told["bad functions"] = {
    name: failure(workload(f"{file}:{name}").module)
    for name in ("number", "wrong_pair", "fails", "leaves", "needs_more", "buld", "frobnicate", "WIDTH")
}
told["package"] = list(workload(f"{folder}/my/package/inner/model.py:build").module()(torch.ones(2, 5)).shape)
told["dotted"] = list(workload("tests.workloads.modules:build").module()(torch.ones(2, 3)).shape)
told["no module"] = failure(workload("no_such.module:build").module)
told["does not import"] = failure(workload(f"{folder}/my/broken.py:build").module)
told["another"] = failure(workload(f"{folder}/other/model.py:build").module)
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("python")
    write(folder / "my/model.py", MODEL)
    write(folder / "my/beside.py", "WIDTH = 8\n")
    write(folder / "my/package/__init__.py", "")
    write(folder / "my/package/sizes.py", "WIDTH = 5\n")
    write(folder / "my/package/inner/__init__.py", "")
    inner = "from torch import nn\nfrom ..sizes import WIDTH\n\n\ndef build():\n    return nn.Linear(WIDTH, 2)\n"
    write(folder / "my/package/inner/model.py", inner)
    write(folder / "my/broken.py", "import no_such_package\n")
    write(folder / "other/model.py", "")
    script = CHILD.replace("tests.workloads.modules", "modules")
    write(folder / "site/modules/__init__.py", "from torch import nn\n\n\ndef build():\n    return nn.Linear(3, 2)\n")
    env: dict[str, str | None] = {"PYTHONPATH": str(folder / "site")}
    return {"folder": str(folder), **child.told(script, folder, "torch", env=env)}


# ---------------------------------------------------------------------------------------------------- what is built


def test_a_module_of_a_file_is_ready_to_infer(told: dict[str, Any]) -> None:
    assert not told["training"]
    assert told["answers"] == [2, 4]


def test_the_seed_decides_random_weights(told: dict[str, Any]) -> None:
    assert told["same seed"]
    assert not told["other seed"]


def test_a_file_of_a_package_imports_its_relatives(told: dict[str, Any]) -> None:
    assert told["package"] == [2, 2]


def test_an_installed_module_is_named_with_dots(told: dict[str, Any]) -> None:
    assert told["dotted"] == [2, 2]


def test_example_inputs_are_repeated_to_the_batch_size(told: dict[str, Any]) -> None:
    assert told["repeated"] == [[5, 8], True, False]
    assert told["two"] == [["float32", 3, 2], ["int64", 3]]


# ----------------------------------------------------------------------------------------------------- what is wrong


def test_arguments_are_given_by_name_or_place_beside_those_that_stay_the_same(told: dict[str, Any]) -> None:
    assert told["by_name"] == [[[0, 0], [6, 0], [12, 0]], [0, 0]]
    assert told["by_place"] == [[[10, 12], [14, 16], [18, 20]], [0, None]]
    assert told["state_second"] == [0, 1]
    assert told["misspelt"] == "the model's forward has no argument 'scal'; did you mean 'scale'?"


def test_the_space_file_says_how_arguments_are_given(told: dict[str, Any]) -> None:
    assert told["described"] == told["four times"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("build", "returns no example inputs; return (module, inputs), or write workload.inputs"),
        ("no_tensor", "example input 1 of python:{} is a list, not a tensor; let the model take what is in it as"),
        ("no_rows", "the example inputs of python:{} are single numbers; give at least one of them rows: a batch"),
        ("text_input", "the example inputs of python:{} are 'inputs'; give a tensor, a tuple of tensors, or a dict of"),
        ("other_rows", "the example inputs of python:{} have 2, 4 rows; the first dimension of each is the batch"),
    ],
)
def test_wrong_inputs_are_named(told: dict[str, Any], function: str, message: str) -> None:
    assert message.format(f"{told['folder']}/my/model.py:{function}") in told["bad inputs"][function]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", "python:{} returned int; return a torch module, or a pair of it and example inputs"),
        ("wrong_pair", "python:{} returned str, str; return a torch module, or a pair of it and example inputs"),
        ("fails", "python:{} raised RuntimeError: weights.pt"),
        ("leaves", "python:{} raised SystemExit: 2"),
        ("needs_more", "python:{} raised TypeError: needs_more() missing 1 required positional argument: 'width'"),
        ("buld", "model.py has no function 'buld'; did you mean 'build'?"),
        ("frobnicate", "model.py has no function 'frobnicate'; allowed: Masked, Sum, build, by_name, by_place, "),
        ("WIDTH", "model.py has no function 'WIDTH'"),
    ],
)
def test_wrong_functions_are_named(told: dict[str, Any], function: str, message: str) -> None:
    found = told["bad functions"][function]
    assert message.format(f"{told['folder']}/my/model.py:{function}") in found
    assert "\n" not in found


def test_what_cannot_be_imported_is_named(told: dict[str, Any]) -> None:
    folder = told["folder"]
    assert told["no module"] == "no_such.module cannot be imported: ModuleNotFoundError: No module named 'no_such'"
    assert told["does not import"] == (
        f"{folder}/my/broken.py cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"
    )
    assert f"another module named model is loaded, {folder}/my/model.py; rename the file" in told["another"]


# ------------------------------------------------------------------------------------------------------ end to end


def test_functions_run_from_end_to_end(told: dict[str, Any], lab: ExtendedPackage, tmp_path: Path) -> None:
    """One with inputs that the space names, as torch; one that gives its own, as ONNX."""
    cases = (("torch_eager", "build", (InputSpec(shape=("batch", 8)),)), ("onnxruntime", "with_one_input", ()))
    specs = []
    for trial, (backend, function, inputs) in enumerate(cases):
        workload = WorkloadSpec(model=f"python:{told['folder']}/my/model.py:{function}", inputs=inputs)
        specs.append(lab.spec(backend, {}, workload=workload, trial=trial))
    for result in lab.execute(tmp_path, specs).results:
        assert (result.status, result.error) == (Status.OK, None)
        assert result.fidelity is not None and result.fidelity.judged


def test_unavailable_without_torch() -> None:
    bare = msgspec.structs.replace(fakes.machine(), packages={})
    assert python.unavailable(python.Options(), bare) == "torch not installed; pip install torch"
    assert python.unavailable(python.Options(), fakes.machine()) is None
