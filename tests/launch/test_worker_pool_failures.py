from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from pathlib import Path

import pytest

from autotune.core.protocol import Finish, Finished, Prepared
from autotune.core.results import Status
from autotune.hardware import cgroups
from autotune.launch import worker_pool
from autotune.launch.worker_pool import WorkerFailed, Workers
from tests.conftest import ended
from tests.launch.little_workers import ANSWERS, ENOUGH, failure, gathered, planned, setup

# --------------------------------------------------------------------------------------------------------- failures


def test_a_failure_that_the_worker_tells(tmp_path: Path) -> None:
    error = failure(tmp_path, 'say("failed", status="not_applied", message="allocator: not mapped")')
    assert (error.status, str(error)) == (Status.NOT_APPLIED, "allocator: not mapped")


def test_a_crash_names_its_signal_and_last_words(tmp_path: Path) -> None:
    error = failure(
        tmp_path,
        """
sys.stderr.write("first\\nfree(): invalid pointer\\n\\n")
os.kill(os.getpid(), signal.SIGSEGV)
""",
    )
    assert (error.status, str(error)) == (Status.CRASHED, "a worker was killed by SIGSEGV: free(): invalid pointer")


def test_a_real_time_signal_has_a_number(tmp_path: Path) -> None:
    error = failure(tmp_path, "os.kill(os.getpid(), 40)")
    assert (error.status, str(error)) == (Status.CRASHED, "a worker was killed by signal 40")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_the_configuration(tmp_path: Path, number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        gathered(tmp_path, f'say("failed", status="crashed", message="cannot write", errno={number})')
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path))
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        gathered(tmp_path, f'say("failed", status="crashed", message="", errno={number}, path="/dev/shm/torch_1")')
    assert (caught.value.errno, caught.value.filename) == (number, "/dev/shm/torch_1")


def test_another_system_error_is_a_failure(tmp_path: Path) -> None:
    error = failure(tmp_path, f'say("failed", status="crashed", message="not found", errno={errno.ENOENT})')
    assert (error.status, str(error)) == (Status.CRASHED, "not found")


def test_an_exit_names_its_status(tmp_path: Path) -> None:
    error = failure(tmp_path, 'sys.exit("no module named frobnicate")')
    assert error.status is Status.CRASHED
    assert str(error) == "a worker ended with exit status 1: no module named frobnicate"


def test_a_silent_exit_is_a_crash_too(tmp_path: Path) -> None:
    error = failure(tmp_path, "os._exit(0)")
    assert (error.status, str(error)) == (Status.CRASHED, "a worker ended with exit status 0")


@pytest.mark.parametrize(
    ("counts", "status", "why"),
    [
        ((4, 5), Status.OUT_OF_MEMORY, "most likely for lack of memory"),
        ((4, 4), Status.CRASHED, "and not for lack of memory as far as the kernel counts"),
        ((None, None), Status.OUT_OF_MEMORY, "most likely for lack of memory"),
    ],
)
def test_sigkill_is_lack_of_memory_where_the_kernel_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: tuple[int | None, int | None], status: Status, why: str
) -> None:
    monkeypatch.setattr(cgroups, "oom_kills", iter(counts).__next__)
    error = failure(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (error.status, str(error)) == (status, f"a worker was killed by SIGKILL, {why}")


def test_a_worker_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    """The kernel ends a child that asks for PR_SET_PDEATHSIG with the thread that spawned it."""
    body = f"import ctypes; ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n{ANSWERS}"
    with contextlib.ExitStack() as stack:
        started: list[Workers] = []

        def start() -> None:
            plan = planned(tmp_path, body)
            started.append(stack.enter_context(worker_pool.start(plan, tmp_path / "job.json", tmp_path, ENOUGH)))
            started[0].gather(20, "testing")

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        while Path(f"/proc/self/task/{thread.native_id}").exists():  # the kernel's thread ends a little later
            time.sleep(0.001)
        started[0].send(Finish())
        assert started[0].gather(20, "testing") == [Finished(peak_rss_bytes=0)]


def test_one_dead_worker_ends_all(tmp_path: Path) -> None:
    error = failure(tmp_path, 'say("prepared"); time.sleep(60)', "os._exit(4)")
    assert str(error) == "a worker ended with exit status 4"


def test_a_crash_is_seen_although_a_fork_holds_the_pipe(tmp_path: Path) -> None:
    begin = time.monotonic()
    error = failure(tmp_path, "if os.fork() == 0:\n    time.sleep(60)\nos._exit(5)")
    assert (error.status, str(error)) == (Status.CRASHED, "a worker ended with exit status 5")
    assert time.monotonic() - begin < 10


def test_a_hang_ends_in_time(tmp_path: Path) -> None:
    begin = time.monotonic()
    error = failure(tmp_path, "time.sleep(60)", timeout_s=0.6)
    assert (error.status, str(error)) == (Status.TIMEOUT, "no answer within 1 s while testing")
    assert 0.6 <= time.monotonic() - begin < 5


def test_a_worker_that_does_nothing_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "LOOK_S", 0.1)
    begin = time.monotonic()
    error = failure(tmp_path, 'say("prepared"); time.sleep(60)', "time.sleep(60)", setup=setup(idle_s=1.6))
    said = "no answer and no work for 2 s while testing; limits.idle_s is 1.6"
    assert (error.status, str(error)) == (Status.TIMEOUT, said)
    assert 1.6 <= time.monotonic() - begin < 10


BUSY_CHILDREN = """
end = time.monotonic() + 1.8
while time.monotonic() < end:
    child = os.fork()
    if child == 0:
        stop = time.monotonic() + 0.1
        while time.monotonic() < stop:
            pass
        os._exit(0)
    os.waitpid(child, 0)
say("prepared")
"""


def test_a_worker_whose_children_work_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "LOOK_S", 0.1)
    patient = 'time.sleep(2.1); say("prepared")'  # it waits for what the other does
    assert gathered(tmp_path, BUSY_CHILDREN, patient, setup=setup(idle_s=1.2)) == [Prepared(), Prepared()]


def test_the_studys_deadline_interrupts(tmp_path: Path) -> None:
    error = failure(tmp_path, "time.sleep(60)", deadline=time.monotonic() + 0.3)
    assert (error.status, str(error)) == (Status.INTERRUPTED, "the study's time ended while testing")


def test_too_much_memory(tmp_path: Path) -> None:
    hoards = "hoard = bytearray(150_000_000); time.sleep(60)"
    error = failure(tmp_path, hoards, hoards, limit=250_000_000)  # neither of them alone is above it
    assert error.status is Status.OUT_OF_MEMORY
    assert str(error).endswith("GiB; allowed are 0.2 GiB")


def test_memory_of_children_counts(tmp_path: Path) -> None:
    body = "os.fork(); hoard = bytearray(150_000_000); time.sleep(60)"
    assert failure(tmp_path, body, limit=250_000_000).status is Status.OUT_OF_MEMORY


def test_memory_that_forks_share_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "LOOK_S", 0.1)
    body = "hoard = b'1' * 150_000_000\nif os.fork() == 0: time.sleep(60)\ntime.sleep(0.5)\nos._exit(5)"
    assert str(failure(tmp_path, body, limit=250_000_000)) == "a worker ended with exit status 5"


def test_a_worker_that_is_gone_is_noticed_by_the_next_gather(tmp_path: Path) -> None:
    with worker_pool.start(planned(tmp_path, 'say("prepared")'), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.gather(20, "starting")
        assert ended(*workers.pids)
        workers.send(Finish())
        with pytest.raises(WorkerFailed, match="ended with exit status 0"):
            workers.gather(20, "finishing")
