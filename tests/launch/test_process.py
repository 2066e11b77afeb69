from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autotune.launch import process

SAYS = "import sys; print('out'); print('first', file=sys.stderr); print('last', file=sys.stderr)"


def test_a_command_that_succeeds_has_no_failure() -> None:
    assert process.failure_line([sys.executable, "-c", SAYS], {}) is None


@pytest.mark.parametrize(("code", "line"), [(f"{SAYS}; sys.exit(1)", "last"), ("raise SystemExit(3)", "exit status 3")])
def test_a_failure_is_the_last_line_that_was_said(code: str, line: str) -> None:
    assert process.failure_line([sys.executable, "-c", code], {}) == line


def test_a_command_that_does_not_end_is_a_failure() -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert process.failure_line(sleeping, {}, timeout_s=0.2) == f"{sys.executable} gave no answer within 0.2 s"


def test_the_exit_status_of_an_interactive_command() -> None:
    assert process.run_interactive([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_a_command_that_is_not_there_raises() -> None:
    with pytest.raises(FileNotFoundError):
        process.run_interactive(["/nowhere/at/all"])


OUTLASTED = """
import subprocess, sys, threading, time
from autotune.launch import process

code = "import ctypes, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); print(sys.stdin.readline())"

def spawned():
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)

def measure():
    first = process._in_lasting_thread(spawned)
    threading.main_thread().join()
    time.sleep(0.2)
    for worker in (first, process._in_lasting_thread(spawned)):
        print(worker.communicate(b"alive")[0], worker.returncode)

threading.Thread(target=measure).start()
"""


def test_a_thread_that_outlasts_the_main_thread_starts_and_keeps_workers() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OUTLASTED], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "b'alive\\n' 0\n" * 2
