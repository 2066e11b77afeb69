from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from autotune.launch import orphans
from autotune.launch.orphans import Started
from tests.conftest import ended
from tests.launch.little_workers import grandchild, killed_coordinator

DIES_WITH_ITS_PARENT = """
import ctypes
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
print(spawn(), flush=True)
say("prepared")
time.sleep(60)
"""


def test_reap_kills_what_outlived_its_worker(tmp_path: Path) -> None:
    (left,) = killed_coordinator(tmp_path, DIES_WITH_ITS_PARENT)
    compiler = grandchild(tmp_path)
    assert ended(left.pid)
    record = tmp_path / "processes.json"
    for started in (left.started + 100, psutil.Process(1).create_time() - 100):  # not ours; of an earlier boot
        again = record.read_bytes()
        record.write_bytes(msgspec.json.encode([Started(pid=left.pid, started=started)]))
        assert orphans.kill(record) == 0
        record.write_bytes(again)
    assert not ended(compiler, 0.1)
    assert orphans.kill(record) == 1
    assert ended(compiler)
    assert orphans.kill(record) == 0


def test_reap_kills_a_worker_that_still_runs_with_what_it_started(tmp_path: Path) -> None:
    (left,) = killed_coordinator(tmp_path, 'print(spawn(), flush=True); say("prepared"); time.sleep(60)')
    running = [left.pid, grandchild(tmp_path)]
    assert orphans.kill(tmp_path / "processes.json") == 2
    assert all(ended(pid) for pid in running)


@pytest.mark.parametrize("pid", [0, 1, os.getpgrp()])
def test_reap_never_kills_its_own_group(tmp_path: Path, pid: int) -> None:
    record = tmp_path / "processes.json"
    record.write_bytes(msgspec.json.encode([Started(pid=pid, started=time.time())]))
    assert orphans.kill(record) == 0


def test_reap_spares_a_process_that_got_the_same_number(tmp_path: Path) -> None:
    record = tmp_path / "processes.json"
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", "import time; time.sleep(60)"], start_new_session=True
    ) as other:
        started = psutil.Process(other.pid).create_time()
        record.write_bytes(msgspec.json.encode([Started(pid=other.pid, started=started - 100)]))
        assert orphans.kill(record) == 0
        assert other.poll() is None
        record.write_bytes(msgspec.json.encode([Started(pid=other.pid, started=started)]))
        assert orphans.kill(record) == 1
        assert other.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("content", [None, b"", b"[{", b'{"pid": 1}'])
def test_reap_without_a_record_does_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "processes.json").write_bytes(content)
    assert orphans.kill(tmp_path / "processes.json") == 0


def test_a_disk_that_is_full_leaves_the_former_record_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "processes.json"
    orphans.note(record, [os.getpid()])
    before = record.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        orphans.note(record, [os.getpid(), os.getppid()])
    assert record.read_bytes() == before
