from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import autotune
from autotune.backends.ipex import IPEX, Options, launch, unavailable
from autotune.hardware import interpreters
from tests import machines
from tests.backends import child

PACKAGES = {"torch": "2.8.0+cpu", IPEX: "2.8.0"}
SEEN = "see `python -m autotune environments`"


def hardware(**changes: Any) -> Any:
    settings = {"packages": PACKAGES, "compiler": "/usr/bin/g++", "isa": ("avx512f", "avx512_bf16"), **changes}
    return machines.hardware(2, **settings)


# A module by IPEX's name that notes its calls, replaces linear layers and compiles by running eagerly.
FAKE = """
import types
import torch
from autotune.backends import ipex as backend
from tests.backends.tiny_torch import Workload

calls = []

class FakeLinear(torch.nn.Linear):
    __module__ = "intel_extension_for_pytorch.nn"

def optimize(model, dtype=None, weights_prepack=None):
    calls.append([str(dtype), weights_prepack])
    for part in model.modules():
        if type(part) is torch.nn.Linear and weights_prepack is not False:
            part.__class__ = FakeLinear
    return model

def ipex(graph, example):
    calls.append("compiled")
    return graph.forward

torch._dynamo.register_backend(ipex)
sys.modules["intel_extension_for_pytorch"] = types.SimpleNamespace(optimize=optimize)

def run(name="words", **options):
    calls.clear()
    options, config = backend.Options(**options), configured("ipex", batch_size=4, **options)
    session = backend.load(Workload(name), options, config, None)
    error = Workload(name).error(session, 4)
    reason = backend.applied(session, options, config)
    return session, [error, reason, list(calls), type(session).__name__]

for graph in ("trace", "compile", "eager"):
    for precision in ("float32", "bfloat16"):
        session, told[f"{graph} {precision}"] = run(graph=graph, precision=precision)
traced, _ = run(graph="trace")
told["another batch"] = Workload("words").error(traced, 6)
images = traced.convert(Workload("images").arrays(2))[0]
told["inputs"] = images.is_contiguous(memory_format=torch.channels_last)
traced.traced = traced.model
told["not traced"] = backend.applied(traced, backend.Options(), configured("ipex"))
eager, _ = run(graph="eager")
told["threads"] = backend.applied(eager, backend.Options(graph="eager"), configured("ipex", threads=2))
eager.model = torch.nn.Linear(2, 2)
told["nothing replaced"] = backend.applied(eager, backend.Options(graph="eager"), configured("ipex"))
"""

REAL = """
import json, os, sys
import numpy as np
from autotune.backends import ipex as backend, torch_eager
from autotune.core.config import Config, WorkloadSettings

class Workload:
    def module(self):
        import torch
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 14 * 14, 4)
        return torch.nn.Sequential(*layers).eval()

    def arrays(self, rows):
        return (np.random.default_rng(0).standard_normal((rows, 3, 16, 16), dtype=np.float32),)

options = backend.Options(graph=sys.argv[1])
config = Config(
    workload=WorkloadSettings(batch_size=4), backend="ipex", options={"graph": sys.argv[1]}, knobs={"layout": "1x1"}
)
session = backend.load(Workload(), options, config, None)
eager = torch_eager.load(Workload(), torch_eager.Options(), config, None)
got, wanted = (s.outputs(s(s.convert(Workload().arrays(4))))[0] for s in (session, eager))
print(json.dumps([float(abs(got - wanted).max()), backend.applied(session, options, config)]), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("ipex")
    return child.told(FAKE, folder, "torch", env=environment(Options(graph="compile")))


def environment(options: Options) -> dict[str, str | None]:
    return launch(options, child.configured("ipex"), hardware()).env


def test_it_says_where_ipex_can_be_had() -> None:
    assert unavailable(Options(), hardware()) is None
    without = hardware(packages={"torch": "2.13.0"})
    assert unavailable(Options(), without) == f"{IPEX} (2.8.0 is its last, for torch 2.8) not installed; {SEEN}"
    newer = hardware(packages=PACKAGES | {"torch": "2.13.0+cpu"})
    assert unavailable(Options(), newer) == f"IPEX 2.8 needs torch 2.8, not 2.13; {SEEN}"
    assert unavailable(Options(), hardware(architecture="aarch64")) == "IPEX is for x86_64; this machine is aarch64"
    assert "torch not installed" in (unavailable(Options(), hardware(packages={})) or "")


def test_only_compiling_needs_a_compiler_and_only_bfloat16_its_instructions() -> None:
    for graph in ("trace", "eager"):
        assert unavailable(Options(graph=graph), hardware(compiler=None)) is None  # type: ignore[arg-type]
    assert "needs a C++ compiler" in (unavailable(Options(graph="compile"), hardware(compiler=None)) or "")
    for graph in ("trace", "compile"):
        options = Options(graph=graph, precision="bfloat16")  # type: ignore[arg-type]
        assert unavailable(options, hardware()) is None
        assert "this CPU has none" in (unavailable(options, hardware(isa=("avx512f",))) or "")


def test_inductors_cache_is_inside_ours() -> None:
    assert environment(Options()) == dict.fromkeys(("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"), "{cache}/inductor")
    assert environment(Options(graph="compile")).items() > environment(Options()).items()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("graph", ["trace", "compile", "eager"])
def test_ipex_is_called_as_documented_and_what_it_gives_is_run(
    told: dict[str, Any], graph: str, precision: str
) -> None:
    error, reason, calls, session = told[f"{graph} {precision}"]
    assert error < (1e-8 if precision == "float32" else 1e-2)
    assert reason is None
    if graph == "compile":
        assert calls == [[f"torch.{precision}", False], "compiled"]
        assert session == "CompiledSession"
    else:
        assert calls == [[f"torch.{precision}", None]]
        assert session == ("TracedSession" if graph == "trace" else "TorchSession")


def test_a_traced_graph_runs_other_batches(told: dict[str, Any]) -> None:
    assert told["another batch"] < 1e-8


def test_inputs_have_the_memory_format(told: dict[str, Any]) -> None:
    assert told["inputs"]


def test_what_is_not_in_effect_is_found_out(told: dict[str, Any]) -> None:
    assert told["not traced"] == "the traced graph is a Words, not a TorchScript module"
    assert told["threads"] == "torch runs 1 threads, not 2"
    assert told["nothing replaced"] == "ipex.optimize replaced no module"


@pytest.mark.slow
@pytest.mark.parametrize("graph", ["trace", "compile", "eager"])
def test_ipex_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: str) -> None:
    monkeypatch.delenv("AUTOTUNE_ENVIRONMENTS")  # the one test that looks for an environment of the user's
    found = interpreters.find(interpreters.default_folder()).values()
    having = [one.prefix for one in found if unavailable(Options(), hardware(packages=one.packages)) is None]
    if not having:
        pytest.skip("needs an environment with IPEX")
    interpreters.link(Path(autotune.__file__).parent, tmp_path / "package")
    done = subprocess.run(
        [f"{having[0]}/bin/python", "-c", REAL, graph],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path / "package"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    error, reason = json.loads(done.stdout.splitlines()[-1])
    assert error < 1e-4
    assert reason is None
