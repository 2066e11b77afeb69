from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from autotune.core.config import Placement
from autotune.core.protocol import Finish, Finished, MeasureJob, Ready
from autotune.core.results import Status
from autotune.launch.worker_pool import WorkerFailed, Workers
from autotune.worker.reference import Reference, write_reference
from tests.conftest import ExtendedPackage, ended


@pytest.fixture
def job(lab: ExtendedPackage, tmp_path: Path) -> Callable[[str], MeasureJob]:
    """A job for `faulty`, with reference outputs made by hand: no framework is needed."""
    samples = np.tile(np.arange(4, dtype=np.float32), (lab.rules.verify_samples, 1))
    write_reference(Reference((samples,), ("output",)), tmp_path)

    def made(mode: str) -> MeasureJob:
        return MeasureJob(
            spec=lab.spec("faulty", {"mode": mode}),
            hardware=lab.hardware,
            rules=lab.rules,
            placements=(Placement(cpus=(lab.hardware.allowed_cpus[-1],), threads=1),),
            folder=str(tmp_path),
            reference=str(tmp_path),
        )

    return made


Made = Callable[[str], MeasureJob]
WRONG = (
    "the output is nan in sample {} at [0], where the reference is 0; {} values are NaN, or infinite or unmasked where "
    "the reference is not"
)


def pid(workers: Workers) -> int:
    return workers.workers[0].process.pid


def wait_for(path: Path, lines: int) -> list[str]:
    """A worker's output, once it has so many lines."""
    for _ in range(1000):
        if (text := path.read_text()).count("\n") >= lines:
            return text.splitlines()
        time.sleep(0.02)
    raise AssertionError(f"{path} has not {lines} lines but {text!r}")


def environ(lab: ExtendedPackage) -> dict[str, str]:
    """With the thread variables that the layout knob asks for."""
    return lab.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def measuring(lab: ExtendedPackage) -> ExtendedPackage:
    """A lab whose workers have the environment of `1x1`."""

    class Measuring(ExtendedPackage):
        @property
        def environ(self) -> dict[str, str]:
            return environ(lab)

    return Measuring(lab.package, lab.cache, lab.hardware, lab.rules)


def failure(lab: ExtendedPackage, job: MeasureJob, folder: Path) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as caught, measuring(lab).worker(job, folder) as workers:
        workers.gather(30, "loading")
    return caught.value


def test_it_loads_answers_and_ends(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    with measuring(lab).worker(job("fine"), tmp_path) as workers:
        (ready,) = workers.gather(30, "loading")
        assert isinstance(ready, Ready)
        assert ready.fidelity.max_abs_error == 0
        assert ready.versions["numpy"] == np.__version__
        assert ready.first_call_s >= 0.001
        workers.send(Finish())
        (finished,) = workers.gather(30, "finishing")
        assert isinstance(finished, Finished)
        assert finished.peak_rss_bytes > 10_000_000
        assert workers.workers[0].process.wait(10) == 0
    assert "exit handler" not in (tmp_path / "stdout.log").read_text()


def test_it_is_pinned_with_all_its_threads(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    with measuring(lab).worker(job("fine"), tmp_path) as workers:
        workers.gather(30, "loading")
        for thread in os.listdir(f"/proc/{pid(workers)}/task"):
            assert os.sched_getaffinity(int(thread)) == {lab.hardware.allowed_cpus[-1]}


def test_it_dies_before_its_coordinator_for_want_of_memory(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    with measuring(lab).worker(job("fine"), tmp_path) as workers:
        workers.gather(30, "loading")
        assert int(Path(f"/proc/{pid(workers)}/oom_score_adj").read_text()) == max(500, own)


def test_a_higher_oom_score_is_kept(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    # as in a Kubernetes pod without guarantees, where no process may lower it
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job("hang")))
    script = """
import os, sys
open("/proc/self/oom_score_adj", "w").write("900")
own = [str(os.open("/dev/null", os.O_RDWR)) for _ in range(2)]
for handle in own:
    os.set_inheritable(int(handle), True)
os.execv(sys.executable, [sys.executable, "-m", "autotune.worker", sys.argv[1], "0", *own, sys.argv[2]])
"""
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path / "job.json", str(os.getpid())],
            env=environ(lab),
            cwd=lab.package,
            stdout=out,
            start_new_session=True,
        ) as worker,
    ):
        wait_for(tmp_path / "out", 1)
        score = Path(f"/proc/{worker.pid}/oom_score_adj").read_text()
        os.killpg(worker.pid, signal.SIGKILL)
    assert score == "900\n"


def test_a_proc_that_cannot_be_written_ends_no_worker(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job("exit")))
    script = """
import errno, os, runpy, sys
def read_only(event, given):
    if event == "open" and given[0] == "/proc/self/oom_score_adj" and given[2] & os.O_ACCMODE != os.O_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), given[0])
sys.addaudithook(read_only)
runpy.run_module("autotune.worker", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "job.json", "0", "0", "1", str(os.getpid())],
        env=environ(lab),
        cwd=lab.package,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, b"about to exit\n")


def test_it_ends_when_its_coordinator_closes_the_pipe(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    with measuring(lab).worker(job("fine"), tmp_path) as workers:
        workers.gather(30, "loading")
        (worker,) = workers.workers
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), worker.commands, inheritable=False)  # which closes what it was
        assert worker.process.wait(10) == 0


def test_it_refuses_another_parent(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job("exit")))
    found = []
    for parent in (os.getpid() + 1, os.getpid()):
        done = subprocess.run(
            [sys.executable, "-m", "autotune.worker", tmp_path / "job.json", "0", "0", "1", str(parent)],
            env=environ(lab),
            cwd=lab.package,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        found.append((done.returncode, done.stderr))
    assert found == [(1, b""), (3, b"about to exit\n")]


def test_it_dies_with_its_parent_even_in_the_middle_of_a_call(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job("hang")))
    script = """
import os, subprocess, sys, time
own = [os.open("/dev/null", os.O_RDWR) for _ in range(2)]
worker = subprocess.Popen(
    [sys.executable, "-m", "autotune.worker", sys.argv[1], "0", *map(str, own), str(os.getpid())], pass_fds=own
)
print("worker", worker.pid, flush=True)
time.sleep(60)
"""
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path / "job.json"], env=environ(lab), cwd=lab.package, stdout=out
        ) as coordinator,
    ):
        worker, grandchild = (int(line.split()[1]) for line in wait_for(tmp_path / "out", 2))
        assert psutil.pid_exists(worker)
        coordinator.kill()
    assert ended(worker)
    psutil.Process(grandchild).kill()


@pytest.mark.parametrize(
    ("mode", "status", "message"),
    [
        ("error", Status.CRASHED, "ValueError: this model cannot be loaded"),
        ("memory_error", Status.OUT_OF_MEMORY, "MemoryError"),
        ("nan", Status.WRONG_OUTPUT, WRONG.format(0, 4)),
        ("nan_at_the_end", Status.WRONG_OUTPUT, WRONG.format(1, 4)),
        ("ignored", Status.NOT_APPLIED, "faulty: the setting was ignored"),
    ],
)
def test_a_failure_has_its_status(
    lab: ExtendedPackage, tmp_path: Path, job: Made, mode: str, status: Status, message: str
) -> None:
    error = failure(lab, job(mode), tmp_path)
    assert (error.status, str(error)) == (status, message)


def test_a_full_disk_is_told_with_what_could_not_be_written(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    with (
        pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught,
        measuring(lab).worker(job("full_disk"), tmp_path) as workers,
    ):
        workers.gather(30, "loading")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/shm/torch_1")


def test_the_last_row_of_a_large_batch_is_checked(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    asked = job("nan_at_the_end")
    large = lab.spec("faulty", dict(asked.spec.config.options), batch_size=40)
    error = failure(lab, msgspec.structs.replace(asked, spec=large), tmp_path)
    assert (error.status, str(error)) == (Status.WRONG_OUTPUT, WRONG.format(39, 1))


def test_a_layout_that_is_not_in_effect_is_found_out(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    # the environment says nothing of threads
    with (
        pytest.raises(WorkerFailed, match="layout: OMP_NUM_THREADS is not set, and 1x1 needs 1") as caught,
        lab.worker(job("fine"), tmp_path) as workers,
    ):
        workers.gather(30, "loading")
    assert caught.value.status is Status.NOT_APPLIED


def test_a_job_that_cannot_be_read_is_a_crash(lab: ExtendedPackage, tmp_path: Path, job: Made) -> None:
    asked = msgspec.structs.replace(job("fine"), placements=())
    assert failure(lab, asked, tmp_path).status is Status.CRASHED
