from __future__ import annotations

import ctypes
import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import MNT_DETACH, SPACE, Run


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leave: int) -> None:
        """Leave so many bytes free."""
        (self.folder / "filler").unlink(missing_ok=True)
        state = os.statvfs(self.folder)
        (self.folder / "filler").write_bytes(bytes(max(0, state.f_bavail * state.f_frsize - leave)))

    def free(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    """Mounts a tmpfs; skips where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"

    def mount(options: str) -> Disk:
        folder.mkdir()
        if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options.encode()):
            folder.rmdir()
            pytest.skip(f"a tmpfs cannot be mounted: {errno.errorcode[ctypes.get_errno()]}")
        return Disk(folder)

    yield mount
    if folder.is_dir():
        libc.umount2(bytes(folder), MNT_DETACH)


def test_a_full_disk_leaves_no_study(quick: Run, tmp_path: Path, mounted: Callable[[str], Disk]) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    disk = mounted("size=1m")
    disk.fill(0)
    done = quick("--space", "toy.yaml", "--studies", str(disk.folder / "st"))
    assert (
        "toy@toy.large cannot be made: No space left on device; mend that, or choose another with --s" in done.mistake
    )
    assert [path for path in disk.folder.rglob("*") if path.is_file()] == [disk.folder / "filler"]


@pytest.mark.parametrize("leave", [20_000, 60_000, 130_000, 250_000])
def test_a_disk_that_fills_up_is_one_line_and_the_study_goes_on(
    quick: Run, tmp_path: Path, mounted: Callable[[str], Disk], leave: int
) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    disk = mounted("size=1m")
    disk.fill(leave)
    command = ("--space", "toy.yaml", "--studies", str(disk.folder), "--trials", "2")
    done = quick(*command)
    if done.status:
        assert re.search("no space left for .*; free some and run the same command again: finished tr", done.mistake)
    else:
        assert leave == 250_000
    disk.free()
    assert quick(*command).status == 0
    best = json.loads((disk.folder / "toy@toy.large" / "best.json").read_text())
    assert best["confirmed"]


def test_a_full_disk_under_the_cache_is_one_line(
    run: Run, tmp_path: Path, mounted: Callable[[str], Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    disk = mounted("size=1m,nr_inodes=3")
    monkeypatch.setenv("AUTOTUNE_CACHE", str(disk.folder / "cache"))
    says = f"cache {disk.folder / 'cache'}: free some, run `python -m autotune cache --cl"
    assert says in run("--space", "toy.yaml").mistake
    assert not (tmp_path / "studies").exists()
