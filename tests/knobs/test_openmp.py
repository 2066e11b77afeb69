from pathlib import Path
from typing import Any

import pytest

from autotune.hardware.probe import probe
from autotune.knobs import openmp
from tests.backends.child import configured, told
from tests.machines import hardware

IOMP = "/opt/env/lib/libiomp5.so"
GOMP = "/opt/torch/lib/libgomp.so.1"
INTEL = hardware(2, libraries={"iomp5": IOMP})
HERE = probe()


def test_intels_where_it_was_found() -> None:
    assert openmp.domain(INTEL) == ("gnu", "intel")
    assert openmp.launch("intel", INTEL).preload == (IOMP,)
    assert openmp.launch("gnu", INTEL).preload == ()


def test_unavailable_says_what_to_install() -> None:
    assert openmp.domain(hardware(2)) == ("gnu",)
    assert (openmp.unavailable("intel", hardware(2)) or "").endswith("pip install intel-openmp")
    arm = hardware(2, architecture="aarch64", libraries={"iomp5": IOMP})
    assert openmp.unavailable("intel", arm) == "Intel's OpenMP runtime is not made for aarch64"
    assert openmp.unavailable("gnu", arm) is None


def test_only_torch_uses_it() -> None:
    assert openmp.without_effect("intel", configured("torch_eager"), ("torch",)) is None
    assert openmp.without_effect("gnu", configured("onnxruntime"), ("onnxruntime",)) is None
    assert "without torch" in (openmp.without_effect("intel", configured("onnxruntime"), ("onnxruntime",)) or "")


def test_threads_matter_where_there_are_two() -> None:
    assert openmp.unused(configured("torch_eager", threads=2), ("torch",)) is None
    assert openmp.unused(configured("torch_eager"), ("torch",)) == "a worker of one thread starts no other"
    assert "without torch" in (openmp.unused(configured("openvino", threads=2), ("openvino",)) or "")


@pytest.mark.parametrize(
    ("wanted", "serving", "preloaded", "reason"),
    [
        (None, {}, {IOMP}, None),
        (None, dict.fromkeys(openmp.FUNCTIONS, GOMP), set(), None),
        (None, dict.fromkeys(openmp.FUNCTIONS, IOMP), {IOMP}, f"GOMP_parallel comes from the preloaded {IOMP}"),
        # A torch that is itself linked against libiomp5 bundles that.
        (None, dict.fromkeys(openmp.FUNCTIONS, IOMP), set(), None),
        (IOMP, dict.fromkeys(openmp.FUNCTIONS, IOMP), {IOMP}, None),
        (IOMP, dict.fromkeys(openmp.FUNCTIONS, GOMP), {IOMP}, f"GOMP_parallel comes from {GOMP}, not from {IOMP}"),
        (IOMP, {"GOMP_parallel": IOMP}, {IOMP}, f"omp_get_max_threads comes from nowhere, not from {IOMP}"),
        (IOMP, {}, set(), f"GOMP_parallel comes from nowhere, not from {IOMP}"),
    ],
)
def test_mismatch(wanted: str | None, serving: dict[str, str], preloaded: set[str], reason: str | None) -> None:
    assert openmp.mismatch(wanted, serving, preloaded) == reason


@pytest.mark.parametrize("name", openmp.BINDING)
def test_binds(name: str) -> None:
    assert openmp.binds({name: "true", "OMP_NUM_THREADS": "2"})
    assert not openmp.binds({"OMP_NUM_THREADS": "2"})


CHILD = """
import torch
from autotune.hardware.probe import probe
from autotune.knobs import openmp
torch.set_num_threads(2)
a = torch.ones(400, 400)
told["sum"] = (a @ a).sum().item()
told["gnu"], told["intel"] = openmp.applied("gnu", probe()), openmp.applied("intel", probe())
told["team"] = len(openmp.team())
"""


def said(folder: Path, value: openmp.Value) -> dict[str, Any]:
    if reason := openmp.unavailable("intel", HERE):
        pytest.skip(reason)
    env: dict[str, str | None] = {"LD_PRELOAD": ":".join(openmp.launch(value, HERE).preload), "OMP_NUM_THREADS": "2"}
    return told(CHILD, folder, "torch", env=env)


def test_torch_with_its_own_runtime(tmp_path: Path) -> None:
    found = said(tmp_path, "gnu")
    assert found["gnu"] is None
    assert "libgomp" in found["intel"]
    assert found["team"] == 2


def test_torch_with_intels_runtime(tmp_path: Path) -> None:
    found = said(tmp_path, "intel")
    assert found["intel"] is None
    assert "comes from the preloaded" in found["gnu"]
    assert found["team"] == 2
    assert found["sum"] == 400**3


def test_a_process_without_a_runtime(tmp_path: Path) -> None:
    script = "from autotune.knobs import openmp; told['team'] = openmp.team()"
    assert told(script, tmp_path) == {"team": []}
