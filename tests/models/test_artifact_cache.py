from __future__ import annotations

import errno
import functools
import multiprocessing
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from autotune.core.errors import CacheError
from autotune.core.protocol import PrepareJob
from autotune.core.results import Status
from autotune.launch import launch_plan
from autotune.launch.worker_pool import WorkerFailed
from autotune.models import artifact_cache, artifacts
from autotune.models.artifact_cache import PreparationFailed
from autotune.models.cache_contents import clear
from tests.models.makers import HW, RULES, Maker, config, ensure, failed, listing
from tests.study import fakes

# --------------------------------------------------------------------------------------------- two at the same time


def slowly(log: Path, job: PrepareJob, what: str) -> None:
    """Makes an artifact in a while, and adds a line to the log."""
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.4)
    (Path(job.folder) / "model.bin").write_bytes(b"made")


def ask_at(barrier, log: Path, cache: Path, queue) -> None:
    barrier.wait(30)
    queue.put(ensure(cache, functools.partial(slowly, log)))


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    asking = [
        context.Process(target=ask_at, args=(barrier, tmp_path / "log", tmp_path / "cache", queue)) for _ in range(2)
    ]
    for process in asking:
        process.start()
    made = [queue.get(timeout=60) for _ in asking]
    for process in asking:
        process.join(30)
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert made[0].folder == made[1].folder
    assert sorted(artifact.ref.prepare_s > 0 for artifact in made) == [False, True]


def test_another_process_is_not_waited_for_for_ever(tmp_path: Path, holding: Callable[[Path], None]) -> None:
    made = ensure(tmp_path, Maker())
    holding(tmp_path / "locks" / f"{made.ref.key}.lock")
    with pytest.raises(CacheError) as caught:
        artifacts.ensure(fakes.WORKLOAD, config(), HW, RULES, Maker(), tmp_path, wait_s=0.2)
    assert str(caught.value) == (
        "another process has kept onnxruntime float32 of torchvision:resnet18 locked for 0.2 s; "
        f"wait for it, end it, or set AUTOTUNE_CACHE to another folder than {tmp_path}"
    )


def test_what_a_killed_coordinator_left_is_removed(tmp_path: Path) -> None:
    made = ensure(tmp_path, Maker())
    shutil.rmtree(made.folder)
    for name in (f"{made.ref.key[:12]}-left", "0123456789ab-another"):
        (tmp_path / "making" / name).mkdir()
    ensure(tmp_path, Maker())
    assert os.listdir(tmp_path / "making") == ["0123456789ab-another"]


# -------------------------------------------------------------------------------------------------------- integrity


def flip(folder: Path) -> None:
    time.sleep(0.02)  # times of files may be no finer than 10 ms
    path = folder / "model.bin"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        lambda folder: (folder / "parts" / "weights").unlink(),
        lambda folder: (folder / "added.so").write_bytes(b"\x7fELF"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text('{"what":"half'),
        lambda folder: shutil.rmtree(folder / "parts"),
    ],
    ids=["one bit", "file gone", "file added", "no manifest", "half a manifest", "folder gone"],
)
def test_what_was_changed_is_made_again(tmp_path: Path, damage) -> None:
    run = Maker()
    whole = ensure(tmp_path, run)
    damage(Path(whole.folder))
    mended = ensure(tmp_path, run)
    assert len(run.jobs) == 2
    assert (mended.ref.key, mended.ref.sha256) == (whole.ref.key, whole.ref.sha256)
    assert listing(Path(mended.folder)) == ["manifest.json", "model.bin", "parts/weights"]
    ensure(tmp_path, run)
    assert len(run.jobs) == 2


def test_other_content_has_another_digest(tmp_path: Path) -> None:
    one = ensure(tmp_path / "one", Maker())
    other = ensure(tmp_path / "other", functools.partial(slowly, tmp_path / "log"))
    assert one.ref.key == other.ref.key
    assert one.ref.sha256 != other.ref.sha256


def test_only_the_owner_may_enter_what_is_made(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    made = ensure(cache, Maker())
    for folder in (cache, *(cache / name for name in artifact_cache.FOLDERS), Path(made.folder)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    ensure(tmp_path, Maker())
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "artifacts").stat().st_mode) == 0o700


def test_a_subfolder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "artifacts").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    run = Maker()
    with pytest.raises(CacheError) as caught:
        ensure(tmp_path, run)
    assert str(caught.value) == (
        f"{tmp_path / 'artifacts'} belongs to another user; set AUTOTUNE_CACHE to a folder of yours"
    )
    assert run.jobs == []


def test_the_folder_that_others_import_from_is_checked_too() -> None:
    assert launch_plan.ALONE in artifact_cache.FOLDERS


def test_a_link_that_another_user_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    link = tmp_path / "artifacts"
    link.symlink_to("mine")
    ensure(tmp_path, Maker())
    if os.geteuid():
        pytest.skip("giving a link to another user needs root")
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with pytest.raises(CacheError, match="belongs to another user"):
        ensure(tmp_path, Maker())


# --------------------------------------------------------------------------------------------------------- failures


def test_a_failure_is_remembered_with_its_log(tmp_path: Path) -> None:
    run = Maker(failed())
    with pytest.raises(PreparationFailed, match="no such operator: frobnicate"):
        ensure(tmp_path, run)
    with pytest.raises(PreparationFailed) as again:
        ensure(tmp_path, run)
    (job,) = run.jobs
    assert str(again.value) == (
        f"no such operator: frobnicate (remembered; `python -m autotune cache --clear {job.key[:12]}` forgets)"
    )
    assert again.value.log == "Traceback:\n  the whole story\n"
    assert listing(tmp_path / "artifacts") == listing(tmp_path / "making") == []


def test_a_failed_source_fails_what_is_made_from_it(tmp_path: Path) -> None:
    run = Maker(failed())
    for _ in range(2):
        with pytest.raises(PreparationFailed, match="frobnicate"):
            ensure(tmp_path, run, config("openvino", precision="int8"))
    assert len(run.jobs) == 1


def test_half_a_failure_is_none(tmp_path: Path) -> None:
    run = Maker(failed())
    with pytest.raises(PreparationFailed):
        ensure(tmp_path, run)
    (kept,) = (tmp_path / "failures").iterdir()
    kept.write_bytes(kept.read_bytes()[:20])
    assert ensure(tmp_path, Maker()).ref.key == run.jobs[0].key


def test_clear_forgets_a_failure(tmp_path: Path) -> None:
    with pytest.raises(PreparationFailed):
        ensure(tmp_path, Maker(failed()))
    clear(tmp_path)
    run = Maker()
    assert ensure(tmp_path, run).ref.prepare_s > 0


@pytest.mark.parametrize(
    "error",
    [WorkerFailed(Status.INTERRUPTED, "the study's time ended"), KeyboardInterrupt(), failed(remember=False)],
    ids=["out of time", "Ctrl-C", "told not to"],
)
def test_an_interruption_is_not_remembered(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)):
        ensure(tmp_path, Maker(error))
    assert listing(tmp_path / "failures") == listing(tmp_path / "artifacts") == []
    assert os.listdir(tmp_path / "making") == []
    assert ensure(tmp_path, Maker()).ref.prepare_s > 0


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "not yours"), TimeoutError("too late")])
def test_an_error_in_making_is_not_blamed_on_the_cache(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(type(error)) as caught:
        ensure(tmp_path, Maker(error))
    assert caught.value is error
    assert os.listdir(tmp_path / "making") == []


def test_a_folder_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CacheError) as caught:
        ensure(tmp_path / "file" / "cache", Maker())
    assert str(caught.value) == (
        f"the artifact cache {tmp_path / 'file' / 'cache'} cannot be used: Not a directory; "
        "set AUTOTUNE_CACHE to a folder of yours"
    )


def test_the_folder_is_the_users_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path))
    assert artifact_cache.default_folder() == tmp_path
    monkeypatch.delenv("AUTOTUNE_CACHE")
    assert artifact_cache.default_folder() == platformdirs.user_cache_path("autotune")
