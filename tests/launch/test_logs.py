from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from autotune.core import bounded_log
from autotune.launch import logs, worker_pool
from tests.launch.little_workers import ENOUGH, failure, gathered, planned

MIB = 2**20

PRINTS = """
line = b"x" * 1023 + b"\\n"
os.write(1, b"the first line\\n")
for _ in range({mib}):
    os.write(1, line * 1024)
os.write(1, b"the last line\\n")
say("prepared")
"""


def used(path: Path) -> int:
    """The bytes that a file takes of its disk."""
    return path.stat().st_blocks * 512


def test_a_worker_that_prints_much_leaves_a_short_log(tmp_path: Path) -> None:
    gathered(tmp_path, PRINTS.format(mib=200))
    text = (tmp_path / "stdout.log").read_bytes()
    assert text.startswith(b"the first line\nxxx") and text.endswith(b"x\nthe last line\n")
    assert b"[autotune left out " in text
    assert used(tmp_path / "stdout.log") < 3 * MIB


def test_its_disk_is_given_back_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_log, "ALLOWED_BYTES", 4 * MIB)
    monkeypatch.setattr(logs, "LOOK_S", 0.01)
    body = PRINTS.format(mib=1) + "while True:\n    os.write(2, line * 1024); time.sleep(0.01)\n"
    with worker_pool.start(planned(tmp_path, body), tmp_path / "job.json", tmp_path, ENOUGH) as workers:
        workers.gather(20, "starting")
        log, before, given_back = tmp_path / "stderr.log", 0, 0
        while given_back < 3:
            now = used(log)
            given_back, before = given_back + (now < before), now
            time.sleep(0.002)
        assert log.stat().st_size > now


def test_the_last_words_are_told_of_a_log_that_was_cut(tmp_path: Path) -> None:
    body = PRINTS.format(mib=80).replace("write(1", "write(2") + 'sys.exit("no module named frobnicate")'
    error = failure(tmp_path, body.replace('say("prepared")', ""))
    assert str(error) == "a worker ended with exit status 1: no module named frobnicate"


def test_nothing_is_watched_after_the_end(tmp_path: Path) -> None:
    def watching() -> int:
        return sum(thread.name == "logs" for thread in threading.enumerate())

    before = watching()
    with logs.bounded(tmp_path):
        assert watching() == before + 1
    assert watching() == before
