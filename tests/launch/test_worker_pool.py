from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import msgspec
import psutil
import pytest

from autotune.core.protocol import Finish, Finished, Measure, Measured, Prepared
from autotune.core.results import Status
from autotune.launch import worker_pool
from autotune.launch.launch_plan import LaunchPlan
from autotune.launch.worker_pool import WorkerFailed
from tests.conftest import ended
from tests.launch.little_workers import (
    ANSWERS,
    ENOUGH,
    gathered,
    grandchild,
    killed_coordinator,
    open_files,
    planned,
    wait_for_reply,
)

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
