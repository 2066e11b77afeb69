from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from autotune.core.config import Placement
from autotune.core.protocol import Finish, Finished, Measure, Measured, Prepared
from autotune.core.results import Status
from autotune.hardware import cgroups
from autotune.launch import process_tree, worker_pool
from autotune.launch.launch_plan import LaunchPlan, WorkerPlan
from autotune.launch.orphans import Started
from autotune.launch.worker_pool import WorkerFailed, Workers
from tests.conftest import ended

ENOUGH = 2**40

PRELUDE = """
import json, os, signal, sys, time
job, rank, commands, replies, parent = sys.argv[1:]
rank, commands, replies = int(rank), os.fdopen(int(commands), "rb"), int(replies)

def say(tag, **fields):
    os.write(replies, json.dumps({"type": tag, **fields}).encode() + b"\\n")

def spawn():
    child = os.fork()
    if child == 0:
        os.close(replies)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    return child
"""

ANSWERS = """
say("prepared")
for line in commands:
    command = json.loads(line)
    if command["type"] == "finish":
        say("finished", peak_rss_bytes=rank)
        break
    say("measured", items=command["stop_ns"] - command["start_ns"], calls=rank, cpu_ns=0)
"""


def planned(folder: Path, *bodies: str) -> LaunchPlan:
    """Workers that are little programs; one body a worker."""
    entries = []
    for rank, body in enumerate(bodies):
        script = folder / f"worker-{rank}.py"
        script.write_text(PRELUDE + body)
        entries.append(
            WorkerPlan(
                argv=(sys.executable, "-IS", str(script)),
                env={"ONLY": str(rank)},
                placement=Placement(cpus=(0,), threads=1),
            )
        )
    return LaunchPlan(workers=tuple(entries))


def gathered(
    folder: Path,
    *bodies: str,
    timeout_s: float = 20,
    limit: int = ENOUGH,
    deadline: float | None = None,
    idle_s: float | None = None,
):
    """The first replies of such workers."""
    with worker_pool.start(planned(folder, *bodies), folder / "job.json", folder, limit, deadline) as workers:
        return workers.gather(timeout_s, "testing", idle_s)


def failure(folder: Path, *bodies: str, **limits: float) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as caught:
        gathered(folder, *bodies, **limits)
    return caught.value


def wait_for_reply(workers: Workers, rank: int) -> None:
    assert select.select([workers.workers[rank].replies], [], [], 20)[0]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# ---------------------------------------------------------------------------------------------------------- answers


def test_a_worker_answers(tmp_path: Path) -> None:
    with worker_pool.start(planned(tmp_path, ANSWERS), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        assert workers.gather(20, "starting") == [Prepared()]
        workers.send(Measure(block=0, start_ns=5, stop_ns=12))
        assert workers.gather(20, "measuring") == [Measured(items=7, calls=0, cpu_ns=0)]
        workers.send(Finish())
        assert workers.gather(20, "finishing") == [Finished(peak_rss_bytes=0)]


def test_replies_are_in_rank_order(tmp_path: Path) -> None:
    late = 'time.sleep(0.4); say("finished", peak_rss_bytes=100)'
    soon = 'say("finished", peak_rss_bytes=200)'
    replies = gathered(tmp_path, late, soon, late.replace("100", "300"))
    assert [reply.peak_rss_bytes for reply in replies] == [100, 200, 300]


def test_a_worker_is_told_who_it_is(tmp_path: Path) -> None:
    body = """
print(json.dumps([job, rank, int(parent), dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid()]), flush=True)
say("prepared")
"""
    gathered(tmp_path, body, body)
    told = sorted((json.loads(line) for line in (tmp_path / "stdout.log").read_text().splitlines()), key=lambda t: t[1])
    for rank, (job, own, parent, environ, folder, leads) in enumerate(told):
        assert (job, own, parent) == (str(tmp_path / "job.json"), rank, os.getpid())
        environ.pop("LC_CTYPE", None)  # which Python itself may set
        assert environ == {"ONLY": str(rank)}
        assert (folder, leads) == (str(tmp_path), True)


def test_a_worker_sees_only_its_own_pipes(tmp_path: Path) -> None:
    body = 'print(rank, len(os.listdir("/proc/self/fd")) - 1, flush=True); say("prepared")'
    gathered(tmp_path, body, body)
    # stdin, stdout, stderr, commands, replies
    assert sorted((tmp_path / "stdout.log").read_text().split("\n")) == ["", "0 5", "1 5"]


def test_a_reply_may_come_in_pieces(tmp_path: Path) -> None:
    body = """
text = json.dumps({"type": "finished", "peak_rss_bytes": 7, }).encode() + b"\\n"
for piece in (text[:5], text[5:20], text[20:]):
    os.write(replies, piece)
    time.sleep(0.1)
"""
    assert gathered(tmp_path, body) == [Finished(peak_rss_bytes=7)]


TOGETHER = """
say_all = lambda *texts: os.write(replies, b"".join(json.dumps(text).encode() + b"\\n" for text in texts))
say_all({"type": "prepared"}, {"type": "finished", "peak_rss_bytes": 3},
        {"type": "failed", "status": "wrong_output", "message": "not equal"})
"""


@pytest.mark.parametrize("then", ["time.sleep(60)", "os._exit(0)"])
def test_replies_may_come_together(tmp_path: Path, then: str) -> None:
    plan = planned(tmp_path, TOGETHER + then, 'time.sleep(0.3); say("prepared"); say("prepared"); time.sleep(60)')
    with worker_pool.start(plan, tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        assert workers.gather(20, "preparing") == [Prepared(), Prepared()]
        assert workers.gather(20, "finishing") == [Finished(peak_rss_bytes=3), Prepared()]
        with pytest.raises(WorkerFailed, match="not equal") as caught:
            workers.gather(20, "failing")
    assert caught.value.status is Status.WRONG_OUTPUT


def test_what_is_told_goes_before_a_death(tmp_path: Path) -> None:
    told = 'say("failed", status="not_applied", message="not mapped"); time.sleep(60)'
    plan = planned(tmp_path, "os._exit(3)", told)
    with worker_pool.start(plan, tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.workers[0].process.wait()
        wait_for_reply(workers, 1)
        with pytest.raises(WorkerFailed, match="not mapped"):
            workers.gather(20, "testing")


def test_complete_replies_count_although_the_time_is_over(tmp_path: Path) -> None:
    plan = planned(tmp_path, 'say("prepared"); time.sleep(60)')
    with worker_pool.start(plan, tmp_path / "job.json", tmp_path, ENOUGH, deadline=0.0) as workers:
        wait_for_reply(workers, 0)
        assert workers.gather(0, "testing") == [Prepared()]


def test_output_goes_to_the_logs(tmp_path: Path) -> None:
    gathered(tmp_path, 'print("out", flush=True); print("err", file=sys.stderr, flush=True); say("prepared")')
    assert (tmp_path / "stdout.log").read_text() == "out\n"
    assert (tmp_path / "stderr.log").read_text() == "err\n"


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
    error = failure(tmp_path, 'say("prepared"); time.sleep(60)', "time.sleep(60)", idle_s=1.6)
    assert (error.status, str(error)) == (Status.TIMEOUT, "no answer and no work for 2 s while testing")
    assert 1.6 <= time.monotonic() - begin < 10


BUSY_CHILDREN = """
end = time.monotonic() + 3
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
    patient = 'time.sleep(3.5); say("prepared")'  # it waits for what the other does
    assert gathered(tmp_path, BUSY_CHILDREN, patient, idle_s=2) == [Prepared(), Prepared()]


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


def test_memory_that_forks_share_counts_once(tmp_path: Path) -> None:
    body = "hoard = b'1' * 150_000_000\nif os.fork() == 0: time.sleep(60)\ntime.sleep(2.5)\nos._exit(5)"
    assert str(failure(tmp_path, body, limit=250_000_000)) == "a worker ended with exit status 5"


def test_a_worker_that_is_gone_is_noticed_by_the_next_gather(tmp_path: Path) -> None:
    with worker_pool.start(planned(tmp_path, 'say("prepared")'), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.gather(20, "starting")
        assert ended(*workers.pids)
        workers.send(Finish())
        with pytest.raises(WorkerFailed, match="ended with exit status 0"):
            workers.gather(20, "finishing")


# ---------------------------------------------------------------------------------------------------------- pausing

SPINNING = """
import hashlib, threading
def spin():
    while True:
        hashlib.sha256(bytes(2**20)).digest()
for _ in range(3):
    threading.Thread(target=spin, daemon=True).start()
"""

FORKED = """
if os.fork() == 0:
    os.close(replies)
    while True:
        pass
"""


def stopped(pid: int) -> bool:
    """True if all threads of a process are stopped."""
    states = [Path(f"/proc/{pid}/task/{task}/stat").read_text() for task in os.listdir(f"/proc/{pid}/task")]
    return all(state.rpartition(")")[2].split()[0] == "T" for state in states)


@pytest.mark.parametrize("work", ["", SPINNING, FORKED], ids=["waiting", "spinning threads", "a child"])
def test_paused_workers_stand_still_until_something_is_sent(tmp_path: Path, work: str) -> None:
    with worker_pool.start(
        planned(tmp_path, work + ANSWERS, ANSWERS), tmp_path / "job.json", tmp_path, ENOUGH
    ) as workers:
        workers.gather(20, "starting")
        for number in range(3):
            workers.pause()
            assert all(stopped(pid) for pid in workers.pids)
            time.sleep(0.02)  # what a worker forked is stopped, too, but nobody waits for it
            before = process_tree.run_ns(workers.pids)
            time.sleep(0.05)
            assert process_tree.run_ns(workers.pids) == before
            workers.send(Measure(block=number, start_ns=0, stop_ns=7))
            assert [reply.items for reply in workers.gather(20, "measuring")] == [7, 7]
            assert process_tree.run_ns(workers.pids) > before


def test_pausing_twice_is_pausing_once(tmp_path: Path) -> None:
    with worker_pool.start(planned(tmp_path, ANSWERS), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.gather(20, "starting")
        workers.pause()
        workers.pause()
        workers.send(Finish())
        assert workers.gather(20, "finishing") == [Finished(peak_rss_bytes=0)]


def test_a_paused_worker_that_is_sent_nothing_does_not_answer(tmp_path: Path) -> None:
    late = 'time.sleep(0.3); say("prepared"); time.sleep(60)'
    with worker_pool.start(planned(tmp_path, late), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.pause()
        with pytest.raises(WorkerFailed, match="no answer within 1 s"):
            workers.gather(1, "waiting")


def test_dead_workers_can_be_paused(tmp_path: Path) -> None:
    begin = time.monotonic()
    with worker_pool.start(
        planned(tmp_path, "os._exit(3)", ANSWERS), tmp_path / "job.json", tmp_path, ENOUGH
    ) as workers:
        os.waitid(os.P_PID, workers.pids[0], os.WEXITED | os.WNOWAIT)
        wait_for_reply(workers, 1)
        workers.pause()
        assert stopped(workers.pids[1])
        workers.workers[0].process.wait()  # now it is not even listed any more
        workers.pause()
        workers.send(Finish())
        with pytest.raises(WorkerFailed, match="ended with exit status 3"):
            workers.gather(20, "finishing")
    assert time.monotonic() - begin < 20


def test_paused_workers_are_killed_on_leaving(tmp_path: Path) -> None:
    body = 'print(spawn(), flush=True); say("prepared"); time.sleep(60)'
    with worker_pool.start(planned(tmp_path, body), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.gather(20, "starting")
        running = [*workers.pids, grandchild(tmp_path)]
        workers.pause()
    assert all(ended(pid) for pid in running)


# -------------------------------------------------------------------------------------------------------- inherited


def test_descriptors_reach_every_worker(tmp_path: Path) -> None:
    own = os.open(tmp_path, os.O_RDONLY)
    try:
        body = f'print(rank, os.readlink("/proc/self/fd/{own}"), flush=True); say("prepared")'
        with worker_pool.start(
            planned(tmp_path, body, body), tmp_path / "job.json", tmp_path, ENOUGH, inherited=(own,)
        ) as workers:
            workers.gather(20, "starting")
        assert not os.get_inheritable(own)
        os.fstat(own)  # still ours
    finally:
        os.close(own)
    assert sorted((tmp_path / "stdout.log").read_text().splitlines()) == [f"{rank} {tmp_path}" for rank in (0, 1)]


# ---------------------------------------------------------------------------------------------------------- closing


def grandchild(folder: Path) -> int:
    """The process that a worker started, by what it printed."""
    while not (text := (folder / "stdout.log").read_text()).endswith("\n"):
        time.sleep(0.02)
    return int(text)


@pytest.mark.parametrize("way", ["well", "by a failure", "by an error", "by Ctrl-C"])
def test_nothing_runs_after_leaving(tmp_path: Path, way: str) -> None:
    body = 'print(spawn(), flush=True); say("prepared"); time.sleep(60)'
    errors = {"by a failure": WorkerFailed, "by an error": ZeroDivisionError, "by Ctrl-C": KeyboardInterrupt}
    files = open_files()
    running = []
    try:
        with worker_pool.start(planned(tmp_path, body), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
            workers.gather(20, "starting")
            running = [*workers.pids, grandchild(tmp_path)]
            assert all(psutil.pid_exists(pid) for pid in running)
            assert (tmp_path / "processes.json").exists()
            if way == "by a failure":
                workers.gather(0.1, "waiting")
            if way in errors:
                raise errors[way]
    except tuple(errors.values()):
        assert way in errors
    assert all(ended(pid) for pid in running)
    assert open_files() == files
    assert not (tmp_path / "processes.json").exists()


SETSID = """
if os.fork() == 0:
    os.close(replies)
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        print(os.getpid(), flush=True)
    time.sleep(60)
say("prepared")
time.sleep(60)
"""


def test_a_session_of_its_own_is_no_escape(tmp_path: Path) -> None:
    with worker_pool.start(planned(tmp_path, SETSID), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.gather(20, "starting")
        escaped = grandchild(tmp_path)
        running = [*workers.pids, psutil.Process(escaped).ppid(), escaped]
        assert len({os.getsid(pid) for pid in running}) == 3
        workers.pause()
    assert all(ended(pid) for pid in running)


def test_a_worker_that_cannot_start_takes_the_others_along(tmp_path: Path) -> None:
    first, second = planned(tmp_path, "time.sleep(60)", "").workers
    missing = msgspec.structs.replace(second, argv=("/no/such/program",))
    files, others = open_files(), psutil.Process().children()
    with (
        pytest.raises(WorkerFailed, match=r"^/no/such/program does not start: No such file or directory$") as caught,
        worker_pool.start(LaunchPlan(workers=(first, missing)), tmp_path / "job.json", tmp_path, ENOUGH),
    ):
        raise AssertionError("started")
    assert caught.value.status is Status.CRASHED
    assert psutil.Process().children() == others
    assert open_files() == files


@pytest.mark.parametrize(("number", "kind"), [(errno.EAGAIN, WorkerFailed), (errno.ENOSPC, OSError)])
def test_a_fork_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    files = open_files()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(kind, match=os.strerror(number)):
        gathered(tmp_path, "")
    assert open_files() == files


# ---------------------------------------------------------------------------------- a coordinator that is killed

COORDINATOR = """
import sys, time
from pathlib import Path
import msgspec
from autotune.launch import worker_pool
from autotune.launch.launch_plan import LaunchPlan
plan = msgspec.json.decode(sys.argv[1], type=LaunchPlan)
folder = Path(sys.argv[2])
with worker_pool.start(plan, folder / "job.json", folder, 2**40) as workers:
    workers.gather(20, "starting")
    print("started", flush=True)
    time.sleep(60)
"""


def killed_coordinator(folder: Path, *bodies: str) -> list[Started]:
    """The workers of a coordinator that was killed once they had answered."""
    asked = [sys.executable, "-c", COORDINATOR, msgspec.json.encode(planned(folder, *bodies)), str(folder)]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as coordinator:
        assert coordinator.stdout is not None
        assert coordinator.stdout.readline() == b"started\n"
        coordinator.kill()
    assert coordinator.returncode == -signal.SIGKILL
    return msgspec.json.decode((folder / "processes.json").read_bytes(), type=list[Started])


def test_workers_end_when_the_pipe_closes(tmp_path: Path) -> None:
    left = killed_coordinator(tmp_path, ANSWERS, ANSWERS)
    assert len(left) == 2
    assert all(ended(entry.pid) for entry in left)


# --------------------------------------------------------------------------------------------------------- last line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one\ntwo\n", "two"),
        ("one\n  two  \n\n \n", "two"),
        ("x" * 500, "x" * 300),
        ("begin\n" * 5000 + "end\n", "end"),
        ("bad \udcff byte", "bad \ufffd byte"),
    ],
)
def test_last_line_that_says_something(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "stderr.log").write_text(text, errors="surrogateescape")
    assert worker_pool.last_line(tmp_path / "stderr.log") == line


def test_last_line_of_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert worker_pool.last_line(tmp_path / "stderr.log") == ""
