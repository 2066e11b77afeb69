from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from autotune.core import full_disk

WORDS = os.strerror(errno.ENOSPC)
Disks = Callable[[dict[str, int]], None]


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    """Gives folders so many free bytes; there are no others."""

    def give(free: dict[str, int]) -> None:
        def statvfs(path: str) -> SimpleNamespace:
            if path not in free:
                raise FileNotFoundError(path)
            return SimpleNamespace(f_bavail=free[path], f_frsize=1, f_files=1, f_favail=1)

        monkeypatch.setattr(os, "statvfs", statvfs)
        monkeypatch.delenv("TMPDIR", raising=False)

    return give


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, WORDS), errno.ENOSPC),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), errno.EDQUOT),
        (RuntimeError(f"[enforce fail at inline_container.cc:603] . {WORDS}"), errno.ENOSPC),
        (RuntimeError(f"cannot save: {os.strerror(errno.EDQUOT)}"), errno.EDQUOT),
        (OSError(errno.EACCES, "Permission denied"), None),
        (ValueError("no such operator"), None),
    ],
)
def test_a_full_disk_is_known_by_its_number_or_words(error: Exception, number: int | None) -> None:
    assert full_disk.error_number(error) == number


def test_the_path_is_the_errors_own_or_the_fullest_folder(disks: Disks) -> None:
    disks({"/cache": 500, "/work": 500, "/tmp": 700, "/dev/shm": 900})
    named = OSError(errno.ENOSPC, WORDS, "/dev/shm/torch_1")
    assert full_disk.full_path(named, ["/cache"]) == "/dev/shm/torch_1"
    assert full_disk.full_path(OSError(errno.ENOSPC, WORDS, b"/tmp/x"), ["/cache"]) == "/tmp/x"
    assert full_disk.full_path(OSError(errno.ENOSPC, WORDS, 3), ["/cache"]) == "/cache"
    assert full_disk.full_path(RuntimeError(WORDS), ["/cache", "/work"]) == "/cache"
    disks({"/cache": 500, "/tmp": 700, "/dev/shm": 0})
    assert full_disk.full_path(OSError(errno.ENOSPC, WORDS), ["/cache"]) == "/dev/shm"


def test_temporary_files_lie_where_the_environment_says(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    disks({"/cache": 500, "/tmp": 0, "/scratch": 1})
    monkeypatch.setenv("TMPDIR", "/scratch")
    assert full_disk.fullest(["/cache"]) == "/scratch"


def test_a_log_that_mentions_a_full_disk_is_believed_where_one_is_full(disks: Disks) -> None:
    disks({"/cache": 2**30, "/tmp": 2**30, "/dev/shm": 2**16})
    found = full_disk.error_in_log(f"terminate called\n{WORDS}\n", ["/cache"])
    assert found is not None
    assert (found.errno, found.filename) == (errno.ENOSPC, "/dev/shm")
    assert full_disk.error_in_log("terminate called", ["/cache"]) is None
    disks({"/cache": 2**30, "/tmp": 2**30, "/dev/shm": 2**20})
    assert full_disk.error_in_log(WORDS, ["/cache"]) is None


@pytest.mark.parametrize(("files", "left", "free"), [(0, 0, 3 * 4096), (9, 0, 0), (9, 1, 3 * 4096)])
def test_a_disk_without_room_for_another_file_is_full(
    monkeypatch: pytest.MonkeyPatch, files: int, left: int, free: int
) -> None:
    state = SimpleNamespace(f_bavail=3, f_frsize=4096, f_files=files, f_favail=left)
    monkeypatch.setattr(os, "statvfs", lambda _: state)
    assert full_disk.free_bytes("/") == free


def test_paths_that_do_not_exist_lie_on_the_disk_of_the_folder_above(tmp_path: Path) -> None:
    assert full_disk.same_disk(tmp_path / "a" / "b", tmp_path / "c")
    assert not full_disk.same_disk("/proc/nothing", tmp_path)
