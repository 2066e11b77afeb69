from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.core.errors import CacheError
from autotune.core.protocol import PrepareJob
from autotune.models import artifacts
from autotune.models.artifact_cache import PreparationFailed
from tests.models.makers import Maker, ensure, failed, listing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def too_much(job: PrepareJob, what: str) -> None:
    (Path(job.folder) / "model.bin").write_bytes(bytes(2**21))


def fill_and_fail(job: PrepareJob, what: str) -> None:
    """As a child does that finds the disk full: its file stays, and it fails."""
    try:
        too_much(job, what)
    except OSError as error:
        raise failed(f"OSError: {error}") from error


def one_line(error: BaseException, cache: Path) -> None:
    assert str(error).count("\n") == 0
    assert str(error).startswith(
        f"no space left while making onnxruntime float32 of torchvision:resnet18; cache {cache}: "
    )
    assert "AUTOTUNE_CACHE" in str(error)


@pytest.mark.parametrize("run", [too_much, fill_and_fail])
def test_a_full_disk_is_said_and_leaves_nothing(small_disk: Path, run: artifacts.Run) -> None:
    with pytest.raises(CacheError) as caught:
        ensure(small_disk, run)
    one_line(caught.value, small_disk)
    assert listing(small_disk / "artifacts") == listing(small_disk / "failures") == listing(small_disk / "making") == []
    assert ensure(small_disk, Maker()).ref.prepare_s > 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_is_said_in_one_line(tmp_path: Path, number: int) -> None:
    making = str(tmp_path / "making" / "gone" / "model.bin")
    with pytest.raises(CacheError) as caught:
        ensure(tmp_path, Maker(OSError(number, os.strerror(number), making)))
    one_line(caught.value, tmp_path)
    assert listing(tmp_path / "artifacts") == listing(tmp_path / "failures") == listing(tmp_path / "making") == []


@pytest.mark.parametrize("how", ["named", "unnamed", "in a log"])
def test_a_full_disk_that_is_not_the_caches_is_named(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (small_disk / "filler").write_bytes(bytes(2**20 - 2**16))
    monkeypatch.setenv("TMPDIR", str(small_disk))
    text = os.strerror(errno.ENOSPC)
    error = {
        "named": OSError(errno.ENOSPC, text, small_disk / "torch_1"),
        "unnamed": OSError(errno.ENOSPC, text),
        "in a log": PreparationFailed("a worker was killed by SIGABRT", f"{text}\nterminated", remember=True),
    }[how]
    with pytest.raises(OSError, match=text) as caught:
        ensure(tmp_path / "cache", Maker(error))
    assert caught.value.errno == errno.ENOSPC
    assert Path(str(caught.value.filename)).is_relative_to(small_disk)
    assert listing(tmp_path / "cache" / "failures") == []


def test_a_log_that_mentions_a_full_disk_where_none_is_full_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(PreparationFailed, match="the converter gave up"):
        error = PreparationFailed("the converter gave up", "cannot log: No space left on device", remember=True)
        ensure(tmp_path, Maker(error))
    assert listing(tmp_path / "failures") == []  # it may have been full while the child ran
