from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.launch import process_tree
from autotune.launch.process_tree import Activity


def child(body: str) -> subprocess.Popen[bytes]:
    """A session of its own that has run `body` up to its `told()`."""
    program = "import os, sys, time\ndef told(*words): print(*words, flush=True)\n" + body + "\ntime.sleep(60)"
    return subprocess.Popen([sys.executable, "-IS", "-c", program], stdout=subprocess.PIPE, start_new_session=True)


@pytest.fixture
def started() -> Iterator[list[int]]:
    """The processes that a test adds here are killed after it."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, 9)


def line(process: subprocess.Popen[bytes]) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_process_is_read_right() -> None:
    (own,) = [process for process in process_tree.processes() if process.pid == os.getpid()]
    assert (own.parent, own.group, own.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    times = os.times()
    assert own.cpu_s == pytest.approx(sum(times[:4]), abs=0.5)


def test_a_tree_holds_children_and_orphans_of_its_session_but_no_stranger(started: list[int]) -> None:
    body = """
pids = []
for way in ("child", "own session", "orphan"):
    read, write = os.pipe()
    if os.fork() == 0:
        if way == "own session":
            os.setsid()
        if way == "orphan" and os.fork():
            os._exit(0)
        os.write(write, str(os.getpid()).encode())
        time.sleep(60)
    pids.append(os.read(read, 99).decode())
told(*pids)
"""
    one, other = child(body), child("told(1)")
    started += line(one)
    line(other)
    try:
        first, second, missing = process_tree.trees([one.pid, other.pid, 2**22 + 1])
        assert {one.pid, *started} <= {process.pid for process in first}
        assert other.pid not in {process.pid for process in first}
        assert [process.pid for process in second] == [other.pid]
        assert missing == []
    finally:
        end(one)
        end(other)


def test_memory_counts_own_and_shared_pages_but_no_files() -> None:
    own = "hoard = bytearray(60_000_000)"
    shared = "import mmap; hoard = mmap.mmap(-1, 60_000_000); hoard.write(b'1' * 60_000_000)"
    file = "import mmap; hoard = mmap.mmap(os.open(sys.executable, 0), 0, prot=mmap.PROT_READ); hoard[:]"
    used = []
    for body in ("", own, shared, file):
        process = child(body + "\ntold(1)")
        line(process)
        used.append(process_tree.memory_bytes(process_tree.trees([process.pid])[0]))
        end(process)
    assert 0 < used[0] < 30e6
    assert used[1] - used[0] == pytest.approx(60e6, rel=0.2)
    assert used[2] - used[0] == pytest.approx(60e6, rel=0.2) or used[2] - used[0] == pytest.approx(120e6, rel=0.2)
    assert used[3] - used[0] < 10e6


def test_what_forks_share_counts_once_where_it_is_divided() -> None:
    process = child("hoard = b'1' * 60_000_000\nfor _ in range(3):\n    if os.fork() == 0: time.sleep(60)\ntold(1)")
    line(process)
    try:
        (family,) = process_tree.trees([process.pid])
        assert len(family) == 4
        assert process_tree.memory_bytes(family) > 240e6
        assert 60e6 < process_tree.proportional_bytes(family) < 120e6
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        end(process)


def test_what_vanished_uses_nothing() -> None:
    process = child("told(1)")
    line(process)
    (left,) = process_tree.trees([process.pid])
    end(process)
    assert process_tree.memory_bytes(left) == process_tree.proportional_bytes(left) == 0
    assert process_tree.trees([process.pid]) == [[]]


def test_cpu_time_of_an_ended_grandchild_counts() -> None:
    body = """
if os.fork() == 0:
    stop = time.process_time() + 0.3
    while time.process_time() < stop:
        pass
    os._exit(0)
os.wait()
told(1)
"""
    process = child(body)
    line(process)
    assert process_tree.cpu_s(process_tree.trees([process.pid])[0]) >= 0.29
    before = process_tree.cpu_s(process_tree.trees([process.pid])[0])
    time.sleep(0.2)
    assert process_tree.cpu_s(process_tree.trees([process.pid])[0]) == pytest.approx(before, abs=0.03)
    end(process)


SPINNING = """
import hashlib, threading
def spin():
    while True:
        hashlib.sha256(bytes(2**20)).digest()
for _ in range(2):
    threading.Thread(target=spin, daemon=True).start()
told(1)
"""


def test_run_time_is_that_of_all_threads() -> None:
    process = child(SPINNING)
    line(process)
    before = process_tree.run_ns([process.pid])
    main = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0])
    time.sleep(0.3)
    after = process_tree.run_ns([process.pid])
    end(process)
    assert after > before > 0
    assert after > 2 * main


def test_run_time_is_that_of_children_and_of_several_roots() -> None:
    busy = child("if os.fork() == 0:\n    while True: pass\ntold(1)")
    idle = child("told(1)")
    line(busy)
    line(idle)
    time.sleep(0.2)
    try:
        own = int(Path(f"/proc/{busy.pid}/schedstat").read_text().split()[0])
        assert process_tree.run_ns([busy.pid]) > own
        quiet = process_tree.run_ns([idle.pid])
        assert process_tree.run_ns([idle.pid]) == quiet
        os.killpg(busy.pid, signal.SIGSTOP)
        time.sleep(0.1)
        assert process_tree.run_ns([busy.pid, idle.pid]) == process_tree.run_ns([busy.pid]) + quiet
    finally:
        os.killpg(busy.pid, signal.SIGKILL)
        end(busy)
        end(idle)


def test_run_time_is_also_that_of_children_that_ended() -> None:
    worked = child("if os.fork() == 0:\n    while time.process_time() < 0.3: pass\n    os._exit(0)\nos.wait()\ntold(1)")
    line(worked)
    try:
        assert process_tree.run_ns([worked.pid]) > 0.25e9
    finally:
        end(worked)


def test_what_does_not_exist_has_not_run() -> None:
    assert process_tree.run_ns([]) == process_tree.run_ns([2**22 + 1]) == 0


def looks(idle_s: float, *used: dict[int, float], every_s: float = 1.0) -> list[bool]:
    activity = Activity(idle_s)
    return [activity.idle(100 + number * every_s, cpu) for number, cpu in enumerate(used)]


def test_idle_after_so_long_without_work() -> None:
    assert looks(3, *[{0: 7.0}] * 5) == [False, False, False, True, True]


def test_work_of_any_tree_counts() -> None:
    assert not any(looks(3, *[{0: 7.0, 1: 0.02 * n} for n in range(9)]))
    assert looks(3, *[{0: 7.0, 1: 0.005 * n} for n in range(9)])[3]


def test_work_keeps_busy_for_the_whole_time() -> None:
    assert looks(3, *[{0: n} for n in (0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)]) == [False] * 5 + [True] * 2


def test_what_a_tree_did_before_it_answered_counts_as_long_as_other_work() -> None:
    both = [{0: n, 1: 5.0} for n in (0.0, 1.0, 2.0)]
    assert looks(2, *both, *[{1: 5.0}] * 2) == [False] * 4 + [True]


def test_a_fall_of_the_sum_is_no_debt() -> None:
    assert not any(looks(2, *[{0: used} for used in (9.0, 10.0, 1.0, 2.0, 3.0)]))


def test_a_time_when_nobody_looked_does_not_count() -> None:
    assert looks(60, *[{0: 1.0}] * 3, every_s=500) == [False] * 3
