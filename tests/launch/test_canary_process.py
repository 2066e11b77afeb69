from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autotune.core.machine import Hardware
from autotune.launch import canary_process
from autotune.launch.canary_process import CanaryProcess
from tests.conftest import ended
from tests.extra.execute import NO_SUCH_CPU


@pytest.fixture
def running(this_machine: Hardware, tmp_path: Path) -> Iterator[CanaryProcess]:
    with canary_process.running(this_machine, tmp_path, ()) as process:
        yield process


def pid(process: CanaryProcess) -> int:
    (found,) = process._workers.pids
    return found


def test_it_senses_every_core(running: CanaryProcess, this_machine: Hardware) -> None:
    for cpus in (this_machine.allowed_cpus[:1], this_machine.allowed_cpus):
        found = running.sense(cpus, 0.03)
        assert found is not None
        assert found.cores == len(cpus)
        assert all(rate > 0 for rate in found.parts.values())
    assert running.failure is None


def test_it_has_a_thread_a_core_and_no_others(running: CanaryProcess, this_machine: Hardware) -> None:
    cpus = this_machine.allowed_cpus
    running.sense(cpus, 0.01)
    tasks = [int(task) for task in os.listdir(f"/proc/{pid(running)}/task") if int(task) != pid(running)]
    assert sorted(os.sched_getaffinity(task) for task in tasks) == [{cpu} for cpu in sorted(cpus)]


def test_it_rests_between_two_askings(running: CanaryProcess, this_machine: Hardware) -> None:
    running.sense(this_machine.allowed_cpus, 0.01)
    time.sleep(0.05)
    before = psutil.Process(pid(running)).cpu_times()
    time.sleep(0.2)
    after = psutil.Process(pid(running)).cpu_times()
    assert after.user + after.system - before.user - before.system <= 0.02


def test_it_ends_with_its_context_and_leaves_nothing(this_machine: Hardware, tmp_path: Path) -> None:
    with canary_process.running(this_machine, tmp_path, ()) as process:
        own, folder = pid(process), process._workers.folder
        assert folder.is_dir()
    assert ended(own)
    assert not folder.exists()


def test_it_inherits_what_it_is_given(this_machine: Hardware, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with canary_process.running(this_machine, tmp_path, (descriptor,)) as process:
            assert os.readlink(f"/proc/{pid(process)}/fd/{descriptor}") == str(tmp_path)
    finally:
        os.close(descriptor)


def test_one_that_cannot_be_pinned_says_why(running: CanaryProcess, this_machine: Hardware) -> None:
    assert running.sense((NO_SUCH_CPU,), 0.01) is None
    assert running.failure is not None
    assert f"the canary cannot be pinned to CPU {NO_SUCH_CPU}: Invalid argument" in running.failure
    first = running.failure
    assert running.sense(this_machine.allowed_cpus, 0.01) is None
    assert running.failure == first


def test_one_that_was_killed_says_so(running: CanaryProcess, this_machine: Hardware) -> None:
    assert running.sense(this_machine.allowed_cpus, 0.01) is not None
    os.kill(pid(running), signal.SIGKILL)
    assert running.sense(this_machine.allowed_cpus, 0.01) is None
    assert running.failure is not None and running.failure.startswith("a worker was killed by SIGKILL")


def test_one_that_hangs_is_given_up(
    running: CanaryProcess, this_machine: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_process, "ANSWER_S", 0.5)
    running._workers.pause()
    running._workers.paused = False
    assert running.sense(this_machine.allowed_cpus, 0.01) is None
    assert running.failure == "no answer within 0 s while sensing"
    assert running.sense(this_machine.allowed_cpus, 0.01) is None
