from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.backends import torch_compile, torch_eager
from autotune.backends.torch_compile import Options, launch, unavailable
from tests import machines
from tests.backends import child

TORCH = {"torch": "2.8.0"}
HW = machines.hardware(2, packages=TORCH, compiler="/usr/bin/g++")

# Pretending that a graph was compiled spares the seconds that compiling one takes.
CHILD = """
import torch
from torch._dynamo.utils import counters
from autotune.backends import torch_compile as backend

class Workload:
    def module(self):
        return torch.nn.Linear(2, 2)

def reason(**options):
    return backend.applied(session, backend.Options(**options), configured("torch_compile", **options))

session = backend.load(Workload(), backend.Options(), configured("torch_compile"), None)
told["before the first call"] = reason()
counters["stats"]["unique_graphs"] = 1
told["freezing"], told["not freezing"] = reason(freezing=True), reason()
told["as eager"] = backend.applied(session, backend.Options(freezing=True), configured("torch_compile", threads=2))
"""


def test_it_needs_a_compiler() -> None:
    assert unavailable(Options(), HW) is None
    without = machines.hardware(2, packages=TORCH, compiler=None)
    assert unavailable(Options(), without) == "torch.compile needs a C++ compiler; apt-get install g++"


def test_what_eager_cannot_run_is_not_compiled() -> None:
    reason = torch_eager.unavailable(torch_eager.Options(precision="bfloat16"), HW)
    assert reason is not None
    assert unavailable(Options(precision="bfloat16"), HW) == reason


def test_options_are_those_of_eager_and_freezing() -> None:
    plain = {name: getattr(torch_eager.Options(), name) for name in torch_eager.Options.__struct_fields__}
    assert {name: getattr(Options(), name) for name in Options.__struct_fields__} == plain | {"freezing": False}


@pytest.mark.parametrize(("freezing", "written"), [(False, "0"), (True, "1")])
def test_inductor_is_told_by_the_environment(freezing: bool, written: str) -> None:
    asked = launch(Options(freezing=freezing), child.configured("torch_compile", freezing=freezing), HW)
    assert asked.env == {
        "TORCHINDUCTOR_CACHE_DIR": "{cache}/inductor",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_FREEZING": written,
    }


def test_a_graph_that_was_compiled_otherwise_is_found_out(tmp_path: Path) -> None:
    env = launch(Options(freezing=True), child.configured("torch_compile", freezing=True), HW).env
    told: dict[str, Any] = child.told(CHILD, tmp_path, "torch", env=env)
    assert told["before the first call"] == "torch.compile compiled no graph"
    assert told["freezing"] is None
    assert told["not freezing"] == "inductor's freezing is True, not False"
    assert told["as eager"] == "torch runs 1 threads, not 2"


def test_nothing_is_prepared_whatever_the_work() -> None:
    for threads, batch_size in ((1, 1), (2, 1), (1, 16)):
        config = child.configured("torch_compile", threads, batch_size)
        assert torch_compile.cache_key(Options(), config, HW) is None
