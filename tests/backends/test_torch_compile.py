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
TUNED = Options(mode="max-autotune", freezing=True, dynamic=True)

# Pretending that a graph was compiled spares the seconds that compiling one takes.
PROOFS = """
import torch
from torch._dynamo.utils import counters
from autotune.backends import torch_compile as backend
from tests.backends.tiny_torch import Workload

def reason(**options):
    return backend.applied(session, backend.Options(**options), configured("torch_compile", **options))

session = backend.load(Workload("words"), backend.Options(), configured("torch_compile"), None)
told["before the first call"] = reason()
counters["stats"]["unique_graphs"] = 1
told["freezing"], told["not freezing"] = reason(freezing=True), reason()
told["tuned"] = reason(freezing=True, mode="max-autotune")
told["not packed"] = reason(freezing=True, weight_prepack=False)
told["as eager"] = backend.applied(session, backend.Options(freezing=True), configured("torch_compile", threads=2))
"""

COMPILED = """
from autotune.backends import torch_compile as backend
from tests.backends.tiny_torch import Workload

def run(name, rows, **options):
    options = {"weight_prepack": False, **options}
    options, config = backend.Options(**options), configured("torch_compile", **options)
    session = backend.load(Workload(name), options, config, None)
    error = Workload(name).error(session, rows)
    return session, [error, backend.applied(session, options, config), session.flags()]

static, told["static"] = run("dense", 2)
told["packed"] = backend.applied(static, backend.Options(), configured("torch_compile"))
static(static.convert(Workload("dense").arrays(5)))
told["another batch"] = static.flags()
for name, rows in (("dense", 1), ("words", 4)):
    varying, told[f"dynamic {rows}"] = run(name, rows, dynamic=True)
    for other in (5, 2, 7, rows):
        varying(varying.convert(Workload(name).arrays(other)))
    told[f"other batches {rows}"] = varying.flags()

# What is compiled again is seen before inductor would make code of it.
options = backend.Options(dynamic=True, weight_prepack=False)
fixed = backend.CompiledSession(Workload("fixed").module(), options, (0,), backend="eager")
fixed(fixed.convert(Workload("fixed").arrays(2)))
told["fixed"] = backend.applied(fixed, options, configured("torch_compile"))
"""

TUNING = """
from torch._dynamo.utils import counters
from autotune.backends import torch_compile as backend
from tests.backends.tiny_torch import Workload

options = backend.Options(mode="max-autotune", freezing=True, dynamic=True)
config = configured("torch_compile")
session = backend.load(Workload("words"), options, config, None)
told["error"] = Workload("words").error(session, 4)
told["applied"] = backend.applied(session, options, config)
told["tuned"] = counters["inductor"]["select_algorithm_autotune"]
"""


def environment(options: Options) -> dict[str, str | None]:
    """The environment of a child, where `{cache}` is a folder that holds `inductor`."""
    return launch(options, child.configured("torch_compile"), HW).env


def test_it_needs_a_compiler() -> None:
    assert unavailable(Options(), HW) is None
    without = machines.hardware(2, packages=TORCH, compiler=None)
    assert unavailable(Options(), without) == "torch.compile needs a C++ compiler; apt-get install g++"


def test_what_eager_cannot_run_is_not_compiled() -> None:
    reason = torch_eager.unavailable(torch_eager.Options(precision="bfloat16"), HW)
    assert reason is not None
    assert unavailable(Options(precision="bfloat16"), HW) == reason


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (Options(weight_prepack=False), "set freezing to true"),
        (Options(weight_prepack=False, freezing=True), None),
        (Options(mode="max-autotune"), "set freezing and weight_prepack to true"),
        (Options(mode="max-autotune", freezing=True, weight_prepack=False), "set freezing and weight_prepack to true"),
        (TUNED, None),
    ],
)
def test_options_without_effect_are_refused(options: Options, needs: str | None) -> None:
    reason = unavailable(options, HW)
    assert reason is None if needs is None else reason is not None and reason.endswith(needs)


def test_the_defaults_are_those_of_eager_and_of_inductor() -> None:
    plain = {name: getattr(torch_eager.Options(), name) for name in torch_eager.Options.__struct_fields__}
    assert {name: getattr(Options(), name) for name in Options.__struct_fields__} == plain | {
        "mode": "default",
        "freezing": False,
        "weight_prepack": True,
        "dynamic": False,
    }


@pytest.mark.parametrize(
    ("options", "freezing", "tuning", "packing"),
    [(Options(), "0", "0", "1"), (TUNED, "1", "1", "1"), (Options(freezing=True, weight_prepack=False), "1", "0", "0")],
)
def test_inductor_is_told_by_the_environment(options: Options, freezing: str, tuning: str, packing: str) -> None:
    assert launch(options, child.configured("torch_compile"), HW).env == {
        "TORCHINDUCTOR_CACHE_DIR": "{cache}/inductor",
        "TMPDIR": "{cache}/inductor",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_FREEZING": freezing,
        "TORCHINDUCTOR_MAX_AUTOTUNE": tuning,
        "TORCHINDUCTOR_CPP_WEIGHT_PREPACK": packing,
    }


def test_a_graph_that_was_compiled_otherwise_is_found_out(inductor: Path) -> None:
    told: dict[str, Any] = child.told(PROOFS, inductor.parent, "torch", env=environment(Options(freezing=True)))
    assert told["before the first call"] == "torch.compile compiled no graph"
    assert told["freezing"] is None
    assert told["not freezing"] == "inductor's freezing is True, not False"
    assert told["tuned"] == "inductor's max_autotune is False, not True"
    assert told["not packed"] == "inductor's cpp.weight_prepack is True, not False"
    assert told["as eager"] == "torch runs 1 threads, not 2"


@pytest.fixture(scope="module")
def compiled(inductor: Path) -> dict[str, Any]:
    return child.told(COMPILED, inductor.parent, "torch", env=environment(Options(weight_prepack=False)))


def test_settings_that_the_environment_turned_off_are_found_out(compiled: dict[str, Any]) -> None:
    assert compiled["packed"] == "inductor's cpp.weight_prepack is False, not True"


def test_recompilations_are_counted_and_a_dynamic_batch_needs_none(compiled: dict[str, Any]) -> None:
    told = compiled
    for run in ("static", "dynamic 1", "dynamic 4"):
        error, reason, flags = told[run]
        assert error < 1e-8
        assert (reason, flags) == (None, [])
    assert told["another batch"] == ["recompiled: 1"]
    assert told["other batches 1"] == told["other batches 4"] == []
    assert told["fixed"] == "another batch size compiles the model again: its code fixes the batch dimension"


@pytest.mark.slow
def test_max_autotune_times_kernels(inductor: Path) -> None:
    told = child.told(TUNING, inductor.parent, "torch", env=environment(TUNED))
    assert told["error"] < 1e-8
    assert told["applied"] is None
    assert told["tuned"] > 0


def test_nothing_is_prepared_whatever_the_work() -> None:
    for threads, batch_size in ((1, 1), (2, 1), (1, 16)):
        config = child.configured("torch_compile", threads, batch_size)
        assert torch_compile.cache_key(Options(), config, HW) is None
