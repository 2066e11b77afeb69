from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from autotune.core.protocol import Finish, Finished, Measure
from autotune.launch import process_tree, worker_pool
from autotune.launch.worker_pool import WorkerFailed
from tests.conftest import ended
from tests.launch.little_workers import ANSWERS, ENOUGH, grandchild, planned, wait_for_reply

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
