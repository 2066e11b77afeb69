from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
from pathlib import Path

import filelock
import msgspec
import pytest

from autotune.core.files import write_atomically
from autotune.hardware import interpreters
from autotune.models.artifact_cache import FileEntry, Manifest
from autotune.models.cache import Kept, clear, kept

A, B = "a" * 64, "b" * 64


def artifact(cache: Path, key: str, what: str = "a model") -> Path:
    """A folder as a preparation leaves it, with its lock."""
    folder = cache / "artifacts" / key
    folder.mkdir(parents=True)
    manifest = Manifest(what=what, prepare_s=1.5, files={"model": FileEntry(bytes=1000, sha256="0")})
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    lock(cache, key).touch()
    return folder


def failure(cache: Path, key: str, log: bytes) -> Path:
    (cache / "failures").mkdir(parents=True, exist_ok=True)
    write_atomically(cache / "failures" / f"{key}.log", log)
    lock(cache, key).touch()
    return cache / "failures" / f"{key}.log"


def lock(cache: Path, key: str) -> Path:
    (cache / "locks").mkdir(exist_ok=True)
    return cache / "locks" / f"{key}.lock"


def test_a_failure_is_told_by_its_first_line(tmp_path: Path) -> None:
    log = b"no operator \xff here \nTraceback:\n" + bytes(5000)
    failure(tmp_path, A, log)
    assert kept(tmp_path) == [Kept(what="failed: no operator � here", bytes=len(log), prepare_s=0.0)]


def test_a_manifest_that_a_newer_version_wrote_is_listed_as_damaged(tmp_path: Path) -> None:
    folder = artifact(tmp_path, A)
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes()) | {"shards": 2}
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    assert [line.what for line in kept(tmp_path)] == [f"damaged: {A}"]


def test_what_inductor_removes_meanwhile_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "inductor").mkdir()
    (tmp_path / "inductor" / "gone.so").symlink_to(tmp_path / "nowhere")
    assert kept(tmp_path) == []
    (tmp_path / "inductor" / "deep").mkdir()
    (tmp_path / "inductor" / "deep" / "kernel.so").write_bytes(bytes(7))
    assert kept(tmp_path) == [Kept(what="inductor's cache", bytes=7, prepare_s=0.0)]


def test_locks_stay_since_another_process_may_wait_for_one(tmp_path: Path) -> None:
    artifact(tmp_path, A)
    failure(tmp_path, B, b"it broke")
    assert clear(tmp_path) == 0
    assert kept(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == [f"{A}.lock", f"{B}.lock"]


def test_half_a_failure_of_a_killed_coordinator_goes_too(tmp_path: Path) -> None:
    whole = failure(tmp_path, A, b"it broke")
    half = whole.with_name(f".{whole.name}-x1y2z3")
    half.write_bytes(b"it br")
    assert clear(tmp_path) == 0
    assert list((tmp_path / "failures").iterdir()) == []


@pytest.mark.parametrize("name", ["inductor", f"artifacts/{A}"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    link = tmp_path / "cache" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(mine)
    clear(tmp_path / "cache")
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_the_link_to_the_package_stays_since_a_worker_may_import_from_it(tmp_path: Path) -> None:
    interpreters.link(tmp_path / "checkout", tmp_path / "package")
    clear(tmp_path)
    assert (tmp_path / "package" / "checkout").is_symlink()
    assert kept(tmp_path) == []


def test_what_is_named_otherwise_is_not_ours(tmp_path: Path) -> None:
    for name in ("artifacts/mine", "making/mine-1", "failures/mine.log"):
        (tmp_path / name).mkdir(parents=True)
    artifact(tmp_path, A)
    assert clear(tmp_path) == 0
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/mine*")) == [
        "artifacts/mine",
        "failures/mine.log",
        "making/mine-1",
    ]


def hold(path: Path, held: multiprocessing.synchronize.Event, done: multiprocessing.synchronize.Event) -> None:
    with filelock.FileLock(path):
        held.set()
        done.wait(60)


def test_a_failure_that_is_about_to_be_written_is_left(tmp_path: Path) -> None:
    log, other = failure(tmp_path, A, b"it broke"), failure(tmp_path, B, b"it broke, too")
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(lock(tmp_path, A), held, done))
    holder.start()
    assert held.wait(30)
    try:
        assert clear(tmp_path) == 1
        assert (log.exists(), other.exists()) == (True, False)
    finally:
        done.set()
        holder.join(30)
    assert clear(tmp_path) == 0
    assert not log.exists()
