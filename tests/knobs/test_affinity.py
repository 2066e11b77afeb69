import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.results import Status
from autotune.hardware.probe import probe
from autotune.knobs import affinity, openmp
from tests.backends.child import configured, told
from tests.conftest import ExtendedPackage
from tests.machines import hardware

HERE = probe()
TWO_CPUS = len(os.sched_getaffinity(0)) > 1
INTEL = hardware(2, libraries={"iomp5": "/opt/env/lib/libiomp5.so"})


def with_openmp(value: str, threads: int = 2, backend: str = "torch_eager") -> Config:
    config = configured(backend, threads=threads)
    return msgspec.structs.replace(config, knobs={**config.knobs, "openmp": value})


def test_compact_needs_intels_runtime() -> None:
    assert affinity.domain(INTEL) == ("none", "close", "spread", "compact")
    assert affinity.domain(hardware(2)) == ("none", "close", "spread")
    assert "intel-openmp" in (affinity.unavailable("compact", hardware(2)) or "")


def test_launch() -> None:
    assert affinity.launch("none", INTEL).env == {}
    assert affinity.launch("close", INTEL).env == {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}
    assert affinity.launch("spread", INTEL).env == {"OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"}
    assert affinity.launch("compact", INTEL).env == {"KMP_AFFINITY": "granularity=fine,compact,1,0"}


@pytest.mark.parametrize(
    ("value", "runtime", "threads", "reason"),
    [
        ("none", "gnu", 1, None),
        ("close", "gnu", 2, None),
        ("close", "gnu", 1, "a worker of one thread starts no other"),
        ("spread", "gnu", 2, "spread does what close does"),
        ("compact", "gnu", 2, "read by Intel's runtime only"),
        ("compact", "intel", 2, None),
        ("close", "intel", 2, "would put all threads on one core; write compact"),
        ("spread", "intel", 2, "would put all threads on one core; write compact"),
    ],
)
def test_without_effect(value: affinity.Value, runtime: str, threads: int, reason: str | None) -> None:
    said = affinity.without_effect(value, with_openmp(runtime, threads), ("torch",))
    assert (said is None) if reason is None else reason in (said or "")
    if value != "none":
        elsewhere = affinity.without_effect(value, with_openmp(runtime, 2, "onnxruntime"), ("onnxruntime",))
        assert "onnxruntime runs without torch" in (elsewhere or "")


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ([{0}, {1}], None),
        ([{3}, {2}], None),
        ([{0}], "OpenMP runs 1 threads, not 2"),
        ([{0, 1}, {1}], "an OpenMP thread is not bound: it may run on CPUs 0, 1"),
        ([{0}, {0}], "OpenMP's 2 threads share CPU 0"),
    ],
)
def test_mismatch(masks: list[set[int]], reason: str | None) -> None:
    assert affinity.mismatch(masks, 2) == reason


CHILD = """
cpus = [int(cpu) for cpu in os.environ["GIVEN"].split(",")]
for thread in os.listdir("/proc/self/task"):
    os.sched_setaffinity(int(thread), cpus[:1])  # numpy's: so that they do not hide where OpenMP's are
os.sched_setaffinity(0, cpus)
import torch
from autotune.hardware.probe import probe
from autotune.knobs import affinity, layout
torch.set_num_threads(2)
torch.nn.Conv2d(3, 64, 3)(torch.ones(2, 3, 64, 64))
hw = probe()
told["layout"] = layout.applied("1x2", hw)
told["affinity"] = {value: affinity.applied(value, hw) for value in affinity.VARIABLES}
told["main"] = sorted(os.sched_getaffinity(0))
"""


def said(folder: Path, value: affinity.Value, runtime: openmp.Value = "gnu", given: str = "0,1") -> dict[str, Any]:
    if not TWO_CPUS or not set(map(int, given.split(","))) <= os.sched_getaffinity(0):
        pytest.skip("needs CPUs 0 and 1")
    if reason := openmp.unavailable(runtime, HERE):
        pytest.skip(reason)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    preload = {"LD_PRELOAD": ":".join(openmp.launch(runtime, HERE).preload), "GIVEN": given}
    env = {**threads, **preload, **affinity.launch(value, HERE).env}
    return told(CHILD, folder, "torch", env=env)


def test_nobody_binds_unasked(tmp_path: Path) -> None:
    found = said(tmp_path, "none")
    assert found["layout"] is None
    assert found["affinity"]["none"] is None
    assert found["affinity"]["close"] == "OMP_PROC_BIND was not set at the start, not close"
    assert found["main"] == [0, 1]


@pytest.mark.parametrize(("value", "runtime"), [("close", "gnu"), ("spread", "gnu"), ("compact", "intel")])
def test_threads_are_bound(tmp_path: Path, value: affinity.Value, runtime: openmp.Value) -> None:
    found = said(tmp_path, value, runtime)
    assert found["layout"] is None
    assert found["affinity"][value] is None
    assert "at the start, not unset" in found["affinity"]["none"]
    assert found["main"] == [0]


def test_a_wrong_mask_is_noticed_though_threads_are_bound(tmp_path: Path) -> None:
    found = said(tmp_path, "close", given="1")
    assert found["layout"] == "the worker may run on 1 CPUs, and 1x2 gives it 2"
    assert found["affinity"]["close"] == "OpenMP's 2 threads share CPU 1"


def test_a_runtime_that_does_not_listen_is_noticed(tmp_path: Path) -> None:
    reason = said(tmp_path, "compact", "gnu")["affinity"]["compact"]
    assert reason == "an OpenMP thread is not bound: it may run on CPUs 0, 1"


def test_a_process_without_openmp_hands_the_variables_on(tmp_path: Path) -> None:
    script = "from autotune.knobs import affinity; told['said'] = affinity.applied('close', None)"
    assert told(script, tmp_path, env=affinity.launch("close", HERE).env) == {"said": None}
    assert "OMP_PROC_BIND was not set" in told(script, tmp_path)["said"]


def test_workers_are_measured_with_their_threads_bound(lab: ExtendedPackage, tmp_path: Path) -> None:
    """OpenMP's own binding beside Intel's runtime is the trap."""
    if len(HERE.cores) < 2 or "torch" not in HERE.packages or 0 not in HERE.allowed_cpus:
        pytest.skip("needs torch, and two cores with CPU 0 among them")
    expected = {
        ("close", "gnu"): (Status.OK, None),
        ("compact", "intel"): (Status.OK, None),
        ("close", "intel"): (Status.NOT_APPLIED, "affinity: OpenMP's 2 threads share CPU 0"),
    }
    expected = {pair: outcome for pair, outcome in expected.items() if openmp.unavailable(pair[1], HERE) is None}
    specs = [
        lab.spec("torch_eager", {}, trial=number, layout="1x2", affinity=value, openmp=runtime)
        for number, (value, runtime) in enumerate(expected)
    ]
    found = [(result.status, result.error) for result in lab.execute(tmp_path, specs).results]
    assert found == list(expected.values())
