from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from autotune.core.files import write_array, write_atomically


def test_writes_the_bytes(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", b"\x00one\n")
    assert (tmp_path / "a.json").read_bytes() == b"\x00one\n"


def test_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"a much longer text than the next")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_says_who_may_read_it(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a.json", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == mode


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    whole = [bytes([letter]) * 300_000 for letter in b"ab"]
    write_atomically(path, whole[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for data in whole:
                write_atomically(path, data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(path.read_bytes() in whole for _ in range(200))
    finally:
        stop.set()
        writer.join()


def test_an_interruption_after_the_renaming_is_that_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(path: Path, target: Path) -> None:
        os.replace(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", rename)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.json", b"1")
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "folder", b"1")
    assert os.listdir(tmp_path) == ["folder"]


def test_an_interruption_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_missing_folder_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "a.json", b"1")


# ----------------------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("array", [np.arange(12).reshape(3, 4), np.zeros((0, 3), np.int64), np.float32(0.5)])
def test_an_array_is_read_back(tmp_path: Path, array: np.ndarray) -> None:
    write_array(tmp_path / "a.npy", array)
    again = np.load(tmp_path / "a.npy", allow_pickle=False)
    np.testing.assert_array_equal(again, array)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert os.listdir(tmp_path) == ["a.npy"]


@pytest.mark.parametrize("rows", [1, 1_000_000])
def test_a_full_disk_keeps_its_number(rows: int) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        write_array(Path("/dev/full"), np.ones((rows, 3)))
    assert caught.value.errno == errno.ENOSPC


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "a.npy", np.array([object()]))
    assert os.listdir(tmp_path) == []
