"""CPUs that come or go while it measures end the measurement without a result: nothing is said of a configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import MachineError
from autotune.core.observer import Observer
from autotune.core.results import Status
from autotune.core.specs import InterleavedSpec
from autotune.hardware.allowance import Allowance
from autotune.launch import worker_pool
from autotune.launch.loading import WorkerContext
from autotune.launch.worker_pool import WorkerFailed
from tests.conftest import EXTRA, TINY, ExtendedPackage
from tests.extra.execute import Ask
from tests.launch.little_workers import ANSWERS, ENOUGH, planned

needs_cpus = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 or find_spec("torch") is None, reason="needs two CPUs, and torch for the reference"
)


def refused(lab: ExtendedPackage, root: Path, **asked: object) -> str:
    """The error that ends a coordinator of its own."""
    given = {"trials": [], "hardware": lab.hardware, "root": str(root), "cache": str(lab.cache)} | asked
    done = subprocess.run(
        [sys.executable, EXTRA / "execute.py"],
        input=msgspec.json.encode(Ask(**given)),  # type: ignore[arg-type]
        capture_output=True,
        env=lab.environ,
        cwd=lab.package,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.decode().splitlines()[-1]


@needs_cpus
@pytest.mark.parametrize("mode", ["cpus_lost", "cpus_lost_at_once"])
def test_a_trial_is_left_without_a_result(lab: ExtendedPackage, tmp_path: Path, mode: str) -> None:
    spec = lab.spec("faulty", {"mode": mode})
    error = refused(lab, tmp_path, trials=[(spec, lab.rules, None)])
    assert error.startswith(
        "autotune.core.errors.MachineError: the CPUs that this process may use changed: it lost CPU"
    )
    assert "says nothing of its configuration" in error
    assert (tmp_path / spec.folder / "spec.json").exists() and not (tmp_path / spec.folder / "result.json").exists()
    fine = msgspec.structs.replace(spec, config=lab.spec("faulty", {"mode": "fine"}).config)
    (result,) = lab.execute(tmp_path, [fine]).results  # once they are back
    assert result.status is Status.OK


@needs_cpus
def test_an_interleaved_run_blames_no_candidate(lab: ExtendedPackage, tmp_path: Path) -> None:
    configs = {mode: lab.spec("faulty", {"mode": mode}).config for mode in ("fine", "cpus_lost_at_once")}
    spec = InterleavedSpec(number=0, order="any", workload=TINY, configs=configs, rounds=1, folder="run")
    assert "MachineError" in refused(lab, tmp_path, runs=[(spec, lab.rules)])


# ----------------------------------------------------------------------------------------------------- what is watched


def lost() -> None:
    raise MachineError("a CPU is gone")


@pytest.mark.parametrize("body", [ANSWERS, "sys.exit(3)", "time.sleep(60)"])
def test_workers_are_watched_whatever_becomes_of_them(tmp_path: Path, body: str) -> None:
    with (
        worker_pool.start(planned(tmp_path, body), tmp_path / "job.json", tmp_path, ENOUGH, watch=lost) as workers,
        pytest.raises(MachineError, match="a CPU is gone"),
    ):
        workers.gather(20, "testing")


def test_a_failure_stays_one_where_nothing_changed(tmp_path: Path) -> None:
    context = WorkerContext(None, tmp_path, Observer())  # type: ignore[arg-type]
    plan, job = planned(tmp_path, "sys.exit(3)"), tmp_path / "job.json"
    with (
        worker_pool.start(plan, job, tmp_path, ENOUGH, watch=context.check_cpus) as workers,
        pytest.raises(WorkerFailed, match="exit status 3"),
    ):
        workers.gather(20, "testing")


def test_the_message_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    everywhere = Allowance(cpus=(*sorted(os.sched_getaffinity(0)), 4000))
    context = WorkerContext(None, tmp_path, Observer(), allowance=everywhere)  # type: ignore[arg-type]
    with pytest.raises(MachineError, match=r"it lost CPU 4000 .*run the same command again") as caught:
        context.check_cpus()
    assert "\n" not in str(caught.value)
