from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import CacheError
from autotune.core.files import write_atomically
from autotune.hardware import interpreters
from autotune.models import workload
from autotune.models.artifact_cache import Failure, FileEntry, Manifest, PreparationFailed
from autotune.models.cache_contents import CacheEntry, clear, contents, forget
from tests.models.makers import Maker, config, ensure, failed, hold, listing
from tests.study import fakes

A, B = "a" * 64, "b" * 64


def artifact(cache: Path, key: str, what: str = "a model") -> Path:
    """A folder as a preparation leaves it, with its lock."""
    folder = cache / "artifacts" / key
    folder.mkdir(parents=True)
    manifest = Manifest(what=what, prepare_s=1.5, files={"model": FileEntry(bytes=1000, sha256="0")})
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    lock(cache, key).touch()
    return folder


def failure(cache: Path, key: str, message: str = "it broke") -> Path:
    path = cache / "failures" / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path, msgspec.json.encode(Failure(what="a model", workload="", message=message, log="Traceback:\n"))
    )
    lock(cache, key).touch()
    return path


def lock(cache: Path, key: str) -> Path:
    (cache / "locks").mkdir(exist_ok=True)
    return cache / "locks" / f"{key}.lock"


def test_a_failure_is_told_by_its_message(tmp_path: Path) -> None:
    path = failure(tmp_path, A, "no operator here")
    told = CacheEntry(what="failed: a model: no operator here", bytes=path.stat().st_size, prepare_s=0.0, key=A)
    assert contents(tmp_path) == [told]


def test_half_a_failure_is_listed_as_damaged(tmp_path: Path) -> None:
    failure(tmp_path, A).write_bytes(b'{"what":"half')
    assert [line.what for line in contents(tmp_path)] == [f"damaged: {A}.json"]


def test_a_manifest_that_a_newer_version_wrote_is_listed_as_damaged(tmp_path: Path) -> None:
    folder = artifact(tmp_path, A)
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes()) | {"shards": 2}
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    assert [line.what for line in contents(tmp_path)] == [f"damaged: {A}"]


def test_what_inductor_removes_meanwhile_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "inductor").mkdir()
    (tmp_path / "inductor" / "gone.so").symlink_to(tmp_path / "nowhere")
    assert contents(tmp_path) == []
    (tmp_path / "inductor" / "deep").mkdir()
    (tmp_path / "inductor" / "deep" / "kernel.so").write_bytes(bytes(7))
    assert contents(tmp_path) == [CacheEntry(what="inductor's cache", bytes=7, prepare_s=0.0)]


def test_locks_stay_since_another_process_may_wait_for_one(tmp_path: Path) -> None:
    artifact(tmp_path, A)
    failure(tmp_path, B)
    assert clear(tmp_path) == 0
    assert contents(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == [f"{A}.lock", f"{B}.lock"]


def test_half_a_failure_of_a_killed_coordinator_goes_too(tmp_path: Path) -> None:
    whole = failure(tmp_path, A)
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
    assert contents(tmp_path) == []


def test_only_what_is_named_is_forgotten(tmp_path: Path) -> None:
    artifact(tmp_path, A, "one")
    artifact(tmp_path, B, "another")
    failure(tmp_path, A)
    (tmp_path / "inductor").mkdir()
    (tmp_path / "inductor" / "kernel.so").write_bytes(bytes(7))
    assert forget(tmp_path, [A]) == 0
    assert [line.what for line in contents(tmp_path)] == ["another", "inductor's cache"]


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


def test_a_failure_that_is_about_to_be_written_is_left(tmp_path: Path) -> None:
    log, other = failure(tmp_path, A), failure(tmp_path, B)
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


FAILED = "failed: openvino float32 of torchvision:resnet18: it broke"


def test_the_contents_are_told(tmp_path: Path) -> None:
    made = ensure(tmp_path, Maker())
    with pytest.raises(PreparationFailed):
        ensure(tmp_path, Maker(failed("it broke")), config("openvino"))
    (tmp_path / "inductor" / "deep").mkdir(parents=True)
    (tmp_path / "inductor" / "deep" / "kernel.so").write_bytes(bytes(123))
    told = {line.what: line for line in contents(tmp_path)}
    assert told["onnxruntime float32 of torchvision:resnet18"].key == made.ref.key
    assert {line.workload for line in told.values()} == {workload.identity(fakes.WORKLOAD), ""}
    assert list(told) == ["onnxruntime float32 of torchvision:resnet18", FAILED, "inductor's cache"]
    assert told["onnxruntime float32 of torchvision:resnet18"].bytes == made.ref.bytes
    assert told["onnxruntime float32 of torchvision:resnet18"].prepare_s == made.ref.prepare_s
    assert told["inductor's cache"].bytes == 123


def damaged(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"what":"half')


@pytest.mark.parametrize("damage", [damaged, lambda folder: (folder / "manifest.json").unlink()])
def test_a_damaged_artifact_is_listed(tmp_path: Path, damage) -> None:
    made = ensure(tmp_path, Maker())
    damage(Path(made.folder))
    (line,) = contents(tmp_path)
    size = sum(path.stat().st_size for path in Path(made.folder).rglob("*") if path.is_file())
    assert line == CacheEntry(what=f"damaged: {made.ref.key}", bytes=size, prepare_s=0.0, key=made.ref.key)


def test_a_cache_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert contents(tmp_path / "missing") == []
    assert clear(tmp_path / "missing") == 0
    assert not (tmp_path / "missing").exists()


def test_clear_removes_what_autotune_made_and_nothing_else(tmp_path: Path) -> None:
    made = ensure(tmp_path, Maker())
    with pytest.raises(PreparationFailed):
        ensure(tmp_path, Maker(failed()), config("openvino"))
    (tmp_path / "making" / f"{made.ref.key[:12]}-left").mkdir()
    (tmp_path / "inductor" / "kernel.so").write_bytes(bytes(123))
    for name in ("mine.txt", "artifacts/mine.txt"):
        (tmp_path / name).write_text("a user's own file")
    assert clear(tmp_path) == 0
    assert [name for name in listing(tmp_path) if not name.startswith("locks/")] == ["artifacts/mine.txt", "mine.txt"]
    assert os.listdir(tmp_path / "making") == contents(tmp_path) == []


def test_a_cache_that_cannot_be_cleared_is_said_in_one_line(tmp_path: Path) -> None:
    ensure(tmp_path, Maker())
    shutil.rmtree(tmp_path / "locks")
    (tmp_path / "locks").write_text("not a folder")
    with pytest.raises(CacheError) as caught:
        clear(tmp_path)
    assert str(caught.value) == f"the artifact cache {tmp_path} cannot be cleared: File exists"


def test_clear_leaves_what_another_process_holds(tmp_path: Path, holding: Callable[[Path], None]) -> None:
    made = ensure(tmp_path, Maker())
    ensure(tmp_path, Maker(), config("openvino"))
    lock, making = tmp_path / "locks" / f"{made.ref.key}.lock", tmp_path / "making" / f"{made.ref.key[:12]}-now"
    making.mkdir()
    holding(lock)
    assert clear(tmp_path) == 1
    assert [line.what for line in contents(tmp_path)] == ["onnxruntime float32 of torchvision:resnet18"]
    assert lock.exists()
    assert making.exists()
