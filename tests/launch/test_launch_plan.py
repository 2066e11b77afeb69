from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.errors import MachineError
from autotune.core.machine import Environment
from autotune.core.struct import Value
from autotune.launch import environment, launch_plan
from autotune.launch.launch_plan import LaunchPlan
from autotune.space import configs
from tests import fake_hardware
from tests.study import fakes

MACHINE = fakes.machine(cores=4)
ENVIRON = {
    "PATH": "/usr/bin",
    "HOME": "/root",
    "LD_PRELOAD": "/other.so",
    "PYTHONPATH": "/elsewhere",
    "OMP_NUM_THREADS": "9",
}
CACHE = Path("/home/me/cache")


def configured(backend: str = "torch_eager", **knobs: Value) -> Config:
    return configs.configure(MACHINE, batch_size=1, backend=backend, options={}, knobs=knobs)


def measuring(backend: str = "torch_eager", **knobs: Value) -> LaunchPlan:
    return launch_plan.measuring(configured(backend, **knobs), MACHINE, ENVIRON, CACHE)


def preparing() -> LaunchPlan:
    return launch_plan.preparing(MACHINE, ENVIRON, CACHE)


def sensing() -> LaunchPlan:
    return launch_plan.sensing(MACHINE, ENVIRON, CACHE)


def test_one_process_a_worker_each_on_cpus_of_its_own() -> None:
    workers = measuring(layout="2x2").workers
    assert [worker.placement.threads for worker in workers] == [2, 2]
    assert sorted(cpu for worker in workers for cpu in worker.placement.cpus) == [0, 1, 2, 3]
    assert {worker.env["OMP_NUM_THREADS"] for worker in workers} == {"2"}


def test_the_worker_is_this_interpreter_and_this_package() -> None:
    (worker,) = measuring(layout="1x4").workers
    assert worker.argv == (sys.executable, "-m", "autotune.worker")
    assert worker.env["PYTHONPATH"] == launch_plan.IMPORT_ROOT
    assert (Path(launch_plan.IMPORT_ROOT) / "autotune" / "worker" / "__main__.py").is_file()


@pytest.mark.parametrize(
    "launched", [measuring(layout="1x1"), preparing(), sensing()], ids=["measuring", "preparing", "sensing"]
)
def test_our_own_environment_stays_out(launched: LaunchPlan) -> None:
    for worker in launched.workers:
        assert worker.env["PATH"] == "/usr/bin"
        assert worker.env["PYTHONPATH"] != "/elsewhere"
        assert worker.env["OMP_NUM_THREADS"] != "9"
        assert "LD_PRELOAD" not in worker.env


def test_the_knobs_reach_every_worker() -> None:
    workers = measuring(layout="4x1", allocator="tcmalloc", huge_pages=True).workers
    assert len(workers) == 4
    for worker in workers:
        assert worker.env["LD_PRELOAD"] == fake_hardware.LIBRARIES["tcmalloc"]
        assert worker.env["THP_MEM_ALLOC_ENABLE"] == "1"


def test_the_cache_folder_is_filled_in() -> None:
    (worker,) = measuring("torch_compile", layout="1x1").workers
    assert worker.env["TORCHINDUCTOR_CACHE_DIR"] == "/home/me/cache/inductor"


def test_preparation_is_one_clean_process_on_all_cpus() -> None:
    (worker,) = preparing().workers
    assert worker.placement.cpus == MACHINE.allowed_cpus
    assert worker.env["OMP_NUM_THREADS"] == "4"
    assert worker.argv == (sys.executable, "-m", "autotune.worker")
    inductor = {"TORCHINDUCTOR_CACHE_DIR", "TMPDIR"}
    assert set(worker.env) == {"PATH", "HOME", "PYTHONPATH", "OMP_NUM_THREADS", "CI", *inductor}


def test_what_is_judged_computes_as_it_would_be_served() -> None:
    asked = environment.patch(configured("torch_compile", layout="1x4", fast_math="bf16"), MACHINE)
    (worker,) = launch_plan.preparing(MACHINE, ENVIRON, CACHE, asked=asked).workers
    assert worker.placement.cpus == MACHINE.allowed_cpus
    assert worker.env["ONEDNN_DEFAULT_FPMATH_MODE"] == "BF16"
    assert worker.env["TORCHINDUCTOR_FREEZING"] == "0"
    assert (worker.env["CI"], worker.env["OMP_NUM_THREADS"]) == ("true", "4")


def test_the_canary_is_one_process_on_all_cpus_whose_libraries_start_no_threads() -> None:
    (worker,) = sensing().workers
    assert worker.placement.cpus == MACHINE.allowed_cpus
    assert worker.argv == (sys.executable, "-m", "autotune.worker")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    assert threads.items() <= worker.env.items()
    assert set(worker.env) == {"PATH", "HOME", "PYTHONPATH", *threads}


@pytest.mark.parametrize("prepared", [True, False])
def test_another_environment_sees_nothing_of_ours(prepared: bool) -> None:
    other = Environment(prefix="/srv/venv", python="3.12", packages=MACHINE.packages)
    hw = msgspec.structs.replace(MACHINE, environments={"other": other})
    environ = ENVIRON | {"VIRTUAL_ENV": "/ours", "LD_LIBRARY_PATH": "/cuda", "XDG_DATA_HOME": "/data"}
    config = configured(interpreter="other")
    launched = (
        launch_plan.preparing(hw, environ, CACHE, "other")
        if prepared
        else launch_plan.measuring(config, hw, environ, CACHE)
    )
    (worker,) = launched.workers
    assert worker.argv[0] == "/srv/venv/bin/python"
    env = {"PYTHONPATH": "/home/me/cache/package", "PYTHONNOUSERSITE": "1", "LD_LIBRARY_PATH": "/cuda"}
    assert env.items() <= worker.env.items()
    assert not {"VIRTUAL_ENV", "XDG_DATA_HOME"} & worker.env.keys()
    (own,) = launch_plan.preparing(hw, environ, CACHE).workers
    assert own.env["VIRTUAL_ENV"] == "/ours" and "PYTHONNOUSERSITE" not in own.env


@pytest.mark.parametrize("interpreter", ["own", "other"])
@pytest.mark.parametrize("prepared", [True, False])
def test_the_users_pythonpath_comes_behind_ours_where_it_is_named(prepared: bool, interpreter: str) -> None:
    other = Environment(prefix="/srv/venv", python="3.12", packages=MACHINE.packages)
    hw = msgspec.structs.replace(MACHINE, environments={"other": other})
    environ = ENVIRON | {"PYTHONPATH": "/elsewhere:beside", "MODEL_DIR": "weights"}
    named = ("PYTHONPATH", "MODEL_DIR")
    if prepared:
        (worker,) = launch_plan.preparing(hw, environ, CACHE, interpreter, named=named).workers
    else:
        (worker,) = launch_plan.measuring(configured(interpreter=interpreter), hw, environ, CACHE, named).workers
    ours = launch_plan.IMPORT_ROOT if interpreter == "own" else "/home/me/cache/package"
    assert worker.env["PYTHONPATH"].split(":") == [ours, "/elsewhere", str(Path.cwd() / "beside")]
    assert worker.env["MODEL_DIR"] == "weights"


def test_the_canary_gets_nothing_that_a_space_names() -> None:
    (worker,) = launch_plan.sensing(MACHINE, ENVIRON | {"MODEL_DIR": "/models"}, CACHE).workers
    assert "MODEL_DIR" not in worker.env


def test_planning_is_pure() -> None:
    before = dict(os.environ)
    assert measuring("openvino", layout="2x2") == measuring("openvino", layout="2x2")
    assert preparing() == preparing()
    assert sensing() == sensing()
    assert dict(os.environ) == before


def test_a_layout_that_does_not_fit_is_refused() -> None:
    with pytest.raises(MachineError, match="5x1 needs 5 cores, and 4 are usable"):
        measuring(layout="5x1")
