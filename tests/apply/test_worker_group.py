"""Several workers as one program: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.apply import programs
from tests.apply.made import best
from tests.conftest import ended

TWO = best(environment={}, preload=())
LIMIT_S = 60.0

NOTED = "import os; open(os.environ['AUTOTUNE_RANK'] + '.tmp', 'w').write(str(os.getpid()));"
READY = "os.rename(os.environ['AUTOTUNE_RANK'] + '.tmp', os.environ['AUTOTUNE_RANK']);"
"""A program's first words, and those once it can be told something."""

SLEEPS = f"import time; {NOTED} {READY} time.sleep(1000)"


class Running:
    """A program with two workers under `run`, in a folder of its own."""

    def __init__(self, folder: Path, *command: str, grace_s: float = 10.0, **given: Any) -> None:
        self.folder = folder
        environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        argv = programs.argv(folder, TWO, *command, grace_s=grace_s)
        self.process = subprocess.Popen(argv, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, **given)

    def pids(self) -> list[int]:
        """The workers' process numbers, once both are ready."""
        files = [self.folder / "0", self.folder / "1"]
        limit = time.monotonic() + LIMIT_S
        while not all(file.exists() for file in files):
            assert self.process.poll() is None and time.monotonic() < limit
            time.sleep(0.01)
        return [int(file.read_text()) for file in files]

    def status(self) -> int:
        return self.process.wait(LIMIT_S)

    def said(self) -> str:
        told, _ = self.process.communicate(timeout=LIMIT_S)
        return str(told)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    begun: list[Running] = []

    def started(code: str, *command: str, **given: Any) -> Running:
        begun.append(Running(tmp_path, *(command or (sys.executable, "-c", code)), **given))
        return begun[-1]

    yield started
    for running in begun:
        running.process.kill()
        running.process.communicate()


def test_workers_are_pinned_apart_and_share_the_output(start: Any) -> None:
    show = "import os; print(os.environ['AUTOTUNE_RANK'], len(os.sched_getaffinity(0)), os.read(0, 1), flush=True)"
    running = start(show)
    assert sorted(running.said().splitlines()) == ["0 1 b''", "1 1 b''"]
    assert running.status() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_reaches_every_worker_once(start: Any, number: signal.Signals) -> None:
    hears = (
        f"import signal, time; {NOTED} heard = [];"
        f"signal.signal({int(number)}, lambda *_: heard.append(1)); {READY}\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(0.2); os.write(1, b'%d\\n' % len(heard)); os._exit(0)"  # at once, or two workers' lines may mix
    )
    running = start(hears)
    running.pids()
    running.process.send_signal(number)
    assert running.said() == "1\n1\n"
    assert running.status() == 0


def test_a_signal_that_ends_them_is_the_status(start: Any) -> None:
    running = start(SLEEPS)
    pids = running.pids()
    running.process.send_signal(signal.SIGTERM)
    assert running.status() == 128 + signal.SIGTERM
    assert all(ended(pid) for pid in pids)


def test_the_first_failure_is_the_status_and_the_others_are_ended(start: Any) -> None:
    fails = (
        f"import sys, time; {NOTED} {READY}\nwhile not os.path.exists('0'): time.sleep(0.01)\n"
        "if os.environ['AUTOTUNE_RANK'] == '1': sys.exit(9)\ntime.sleep(1000)"
    )
    running = start(fails)
    assert running.status() == 9
    assert ended(int((running.folder / "0").read_text()))


def test_a_killed_worker_ends_the_others(start: Any) -> None:
    running = start(SLEEPS)
    first, second = running.pids()
    os.kill(second, signal.SIGKILL)
    assert running.status() == 128 + signal.SIGKILL
    assert ended(first)


def test_one_that_is_done_lets_the_others_finish(start: Any) -> None:
    running = start("import os, time; time.sleep(0.5 * int(os.environ['AUTOTUNE_RANK'])); print('done', flush=True)")
    assert running.said() == "done\ndone\n"
    assert running.status() == 0


def test_a_worker_that_ignores_sigterm_is_killed_in_the_end(start: Any) -> None:
    stubborn = (
        f"import signal, sys, time; {NOTED} signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}\ntime.sleep(1000)"
    )
    running = start(stubborn, grace_s=0.3)
    first, second = running.pids()
    os.kill(first, signal.SIGKILL)
    assert running.status() == 128 + signal.SIGKILL
    assert ended(second)


def test_a_program_that_finishes_its_work_after_sigterm_is_not_hurried(start: Any) -> None:
    """One is gone at once, by the signal; the other answers it late, and hears it once."""
    slow = (
        f"import signal, sys, time; {NOTED} heard = []\n"
        "if os.environ['AUTOTUNE_RANK'] == '1': signal.signal(signal.SIGTERM, lambda *_: heard.append(1))\n"
        f"{READY}\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(1); print('finished', len(heard), flush=True)"
    )
    running = start(slow, grace_s=0.2)
    running.pids()
    running.process.send_signal(signal.SIGTERM)
    assert running.said() == "finished 1\n"
    assert running.status() == 128 + signal.SIGTERM


def test_what_a_worker_started_ends_with_it(start: Any) -> None:
    starts = (
        f"import subprocess, sys, time; {NOTED}\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "open('child' + os.environ['AUTOTUNE_RANK'], 'w').write(str(child.pid))\n"
        f"{READY}\ntime.sleep(1000)"
    )
    running = start(starts)
    running.pids()
    running.process.send_signal(signal.SIGTERM)
    assert running.status() == 128 + signal.SIGTERM
    assert all(ended(int((running.folder / f"child{rank}").read_text())) for rank in (0, 1))


def test_no_worker_outlives_a_killed_supervisor(start: Any) -> None:
    running = start(SLEEPS)
    pids = running.pids()
    running.process.kill()
    assert all(ended(pid) for pid in pids)


def test_no_zombie_is_kept(start: Any) -> None:
    """A worker that is done is waited for while the other runs on."""
    running = start(f"import time; {NOTED} {READY}\nif os.environ['AUTOTUNE_RANK'] == '0': time.sleep(1000)")
    _, second = running.pids()
    limit = time.monotonic() + LIMIT_S
    while psutil.pid_exists(second) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not psutil.pid_exists(second) and running.process.poll() is None


def test_what_is_ignored_stays_ignored(start: Any) -> None:
    """As under nohup."""
    running = start(SLEEPS, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    first, _ = running.pids()
    running.process.send_signal(signal.SIGHUP)
    assert int(status_field(first, "SigIgn"), 16) & 1 << signal.SIGHUP - 1
    assert running.process.poll() is None


def status_field(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def test_a_program_that_does_not_start_leaves_none_running(start: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text("no program")
    path.chmod(0o755)
    assert start("", str(path)).status() == 126
