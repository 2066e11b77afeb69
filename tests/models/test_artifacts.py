from __future__ import annotations

import errno
import functools
import multiprocessing
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import msgspec
import platformdirs
import pytest

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.errors import CacheError
from autotune.core.machine import Hardware
from autotune.core.protocol import ACCURACY, PrepareJob
from autotune.core.results import Accuracy, Estimate, Status
from autotune.core.rules import MeasureRules
from autotune.core.struct import Value
from autotune.core.workload_spec import DataSpec, WorkloadSpec
from autotune.launch import launch_plan
from autotune.launch.worker_pool import WorkerFailed
from autotune.models import artifact_cache, artifacts
from autotune.models.artifact_cache import Artifact, PreparationFailed
from autotune.models.cache import Kept, clear, kept
from autotune.space import configs
from tests.study import fakes

HW = fakes.machine()
RULES = MeasureRules()
SIZES = {"onnxruntime": 1000, "openvino": 700, None: 50}


class Maker:
    """A `run` that writes files itself, and keeps what it was asked for."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.fail = fail
        self.jobs: list[PrepareJob] = []
        self.said: list[str] = []

    def __call__(self, job: PrepareJob, what: str) -> None:
        self.jobs.append(job)
        self.said.append(what)
        folder = Path(job.folder)
        (folder / "model.bin").write_bytes(bytes(SIZES[job.backend]))
        (folder / "parts").mkdir()
        (folder / "parts" / "weights").write_text(f"{job.backend}")
        if self.fail:
            raise self.fail


def config(
    backend: str = "onnxruntime", batch_size: int = 1, knobs: dict[str, Value] | None = None, **options: Value
) -> Config:
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs or {})


def ensure(
    cache: Path,
    run: artifacts.Run,
    asked: Config | None = None,
    hw: Hardware = HW,
    spec: WorkloadSpec = fakes.WORKLOAD,
) -> Artifact:
    made = artifacts.ensure(spec, asked or config(), hw, RULES, run, cache)
    assert made is not None
    return made


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------------ made once


def test_made_once_and_then_cached(tmp_path: Path) -> None:
    run = Maker()
    first, second = ensure(tmp_path, run), ensure(tmp_path, run)
    assert [job.key for job in run.jobs] == [first.ref.key]
    assert first.ref.prepare_s > 0
    assert second == msgspec.structs.replace(first, ref=msgspec.structs.replace(first.ref, prepare_s=0.0))
    assert (Path(second.folder) / "parts" / "weights").read_text() == "onnxruntime"
    assert first.ref.bytes == 1000 + len("onnxruntime")


def test_nothing_is_left_but_the_artifact(tmp_path: Path) -> None:
    made = ensure(tmp_path, Maker())
    key = made.ref.key
    assert listing(tmp_path / "artifacts") == [
        f"{key}/{name}" for name in ("manifest.json", "model.bin", "parts/weights")
    ]
    assert listing(tmp_path / "failures") == listing(tmp_path / "making") == []


def test_the_child_is_told_what_to_make(tmp_path: Path) -> None:
    run = Maker()
    ensure(tmp_path, run)
    (job,) = run.jobs
    assert (job.workload, job.hardware, job.config, job.source) == (fakes.WORKLOAD, HW, config(), None)
    assert run.said == ["onnxruntime float32 of torchvision:resnet18"]


def test_a_backend_that_prepares_nothing_has_no_artifact(tmp_path: Path) -> None:
    run = Maker()
    assert artifacts.ensure(fakes.WORKLOAD, config("torch_eager"), HW, RULES, run, tmp_path) is None
    assert run.jobs == []


def test_what_it_is_made_from_is_made_first(tmp_path: Path) -> None:
    run = Maker()
    made = ensure(tmp_path, run, config("openvino", precision="int8"))
    assert run.said == [
        "onnxruntime float32 of torchvision:resnet18",
        "openvino float32 of torchvision:resnet18",
        "openvino int8 of torchvision:resnet18",
    ]
    onnx, float32 = ensure(tmp_path, run), ensure(tmp_path, run, config("openvino"))
    assert [job.source for job in run.jobs] == [None, onnx.folder, float32.folder]
    assert len({made.ref.key, onnx.ref.key, float32.ref.key}) == 3


def test_reference_outputs_are_an_artifact_too(tmp_path: Path) -> None:
    run = Maker()
    first = artifacts.reference(fakes.WORKLOAD, HW, RULES, run, tmp_path)
    again = artifacts.reference(fakes.WORKLOAD, HW, RULES, run, tmp_path)
    assert (len(run.jobs), run.jobs[0].backend, again.ref.prepare_s) == (1, None, 0.0)
    assert first.folder == again.folder
    more = artifacts.reference(fakes.WORKLOAD, HW, MeasureRules(verify_samples=9), run, tmp_path)
    assert more.ref.key != first.ref.key


# ----------------------------------------------------------------------------------------------- what the key holds


def test_batch_size_and_knobs_share_an_artifact(tmp_path: Path) -> None:
    run = Maker()
    ensure(tmp_path, run)
    ensure(tmp_path, run, config(batch_size=16, knobs={"layout": "2x1", "allocator": "tcmalloc"}))
    assert len(run.jobs) == 1


def test_only_what_the_backend_names_tells_options_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino, run = plugins.load("backends", "openvino"), Maker()
    monkeypatch.setattr(openvino, "cache_key", lambda options, config, hw: ("the same for all",))
    monkeypatch.setattr(openvino, "source", lambda options: None)
    one, other = (ensure(tmp_path, run, config("openvino", precision=name)) for name in ("float32", "int8"))
    assert one.folder == other.folder


def test_precision_tells_artifacts_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.load("backends", "openvino"), "source", lambda options: None)
    hw = msgspec.structs.replace(HW, packages={name: HW.packages[name] for name in HW.packages if name != "nncf"})
    run = Maker()
    one, other = (ensure(tmp_path, run, config("openvino", precision=name), hw) for name in ("float32", "int8"))
    assert one.ref.key != other.ref.key


def test_another_way_of_preparing_makes_all_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Maker()
    for _ in range(2):
        ensure(tmp_path, run)
        artifacts.reference(fakes.WORKLOAD, HW, RULES, run, tmp_path)
        monkeypatch.setattr(artifacts, "PREPARED", artifacts.PREPARED + 1)
    assert len(run.jobs) == 4


def test_another_version_makes_it_again(tmp_path: Path) -> None:
    run = Maker()
    keys = {ensure(tmp_path, run).ref.key}
    for package in ("torch", "torchvision", "onnx", "onnxscript"):
        newer = msgspec.structs.replace(HW, packages=HW.packages | {package: "99"})
        keys.add(ensure(tmp_path, run, hw=newer).ref.key)
    assert len(keys) == 5


def test_another_version_of_the_source_makes_all_again(tmp_path: Path) -> None:
    run = Maker()
    ensure(tmp_path, run, config("openvino", precision="int8"))
    newer = msgspec.structs.replace(HW, packages=HW.packages | {"torch": "99"})
    ensure(tmp_path, run, config("openvino", precision="int8"), newer)
    assert len(run.jobs) == 6


def test_another_workload_is_another_artifact(tmp_path: Path) -> None:
    run = Maker()
    for spec in (fakes.WORKLOAD, msgspec.structs.replace(fakes.WORKLOAD, seed=1)):
        ensure(tmp_path, run, spec=spec)
    for content in (b"one", b"two"):
        weights = tmp_path / content.decode()
        weights.write_bytes(content)
        named = msgspec.structs.replace(fakes.WORKLOAD, options={"weights": str(weights)})
        ensure(tmp_path, run, spec=named)
    assert len(run.jobs) == len(kept(tmp_path)) == 4


def test_other_content_of_the_same_weights_file_is_another_model(tmp_path: Path) -> None:
    weights, run = tmp_path / "weights.pt", Maker()
    named = msgspec.structs.replace(fakes.WORKLOAD, options={"weights": str(weights)})
    for content in (b"one", b"another"):
        weights.write_bytes(content)
        ensure(tmp_path, run, spec=named)
    assert len(run.jobs) == 2


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


def hold(lock: Path, held, done) -> None:
    with filelock.FileLock(lock):
        held.set()
        done.wait(60)


@pytest.fixture
def holding() -> Iterator[Callable[[Path], None]]:
    """Has another process hold a lock until the test ends."""
    context = multiprocessing.get_context("spawn")
    done, started = context.Event(), []

    def start(lock: Path) -> None:
        held = context.Event()
        started.append(context.Process(target=hold, args=(lock, held, done)))
        started[-1].start()
        assert held.wait(30)

    yield start
    done.set()
    for process in started:
        process.join(30)


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


def failed(message: str = "no such operator: frobnicate", remember: bool = True) -> PreparationFailed:
    return PreparationFailed(message, "Traceback:\n  the whole story\n", remember=remember)


def test_a_failure_is_remembered_with_its_log(tmp_path: Path) -> None:
    run = Maker(failed())
    with pytest.raises(PreparationFailed, match="no such operator: frobnicate"):
        ensure(tmp_path, run)
    with pytest.raises(PreparationFailed) as again:
        ensure(tmp_path, run)
    assert len(run.jobs) == 1
    assert str(again.value) == ("no such operator: frobnicate (remembered; `python -m autotune cache --clear` forgets)")
    assert again.value.log == "Traceback:\n  the whole story\n"
    assert listing(tmp_path / "artifacts") == listing(tmp_path / "making") == []


def test_a_failed_source_fails_what_is_made_from_it(tmp_path: Path) -> None:
    run = Maker(failed())
    for _ in range(2):
        with pytest.raises(PreparationFailed, match="frobnicate"):
            ensure(tmp_path, run, config("openvino", precision="int8"))
    assert len(run.jobs) == 1


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


# -------------------------------------------------------------------------------------------------------- full disk


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


# -------------------------------------------------------------------------------------------- looking and clearing


def test_kept_tells_what_the_cache_holds(tmp_path: Path) -> None:
    made = ensure(tmp_path, Maker())
    with pytest.raises(PreparationFailed):
        ensure(tmp_path, Maker(failed("it broke")), config("openvino"))
    (tmp_path / "inductor" / "deep").mkdir(parents=True)
    (tmp_path / "inductor" / "deep" / "kernel.so").write_bytes(bytes(123))
    told = {line.what: line for line in kept(tmp_path)}
    assert list(told) == ["onnxruntime float32 of torchvision:resnet18", "failed: it broke", "inductor's cache"]
    assert told["onnxruntime float32 of torchvision:resnet18"].bytes == made.ref.bytes
    assert told["onnxruntime float32 of torchvision:resnet18"].prepare_s == made.ref.prepare_s
    assert told["inductor's cache"].bytes == 123


def damaged(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"what":"half')


@pytest.mark.parametrize("damage", [damaged, lambda folder: (folder / "manifest.json").unlink()])
def test_kept_lists_a_damaged_artifact(tmp_path: Path, damage) -> None:
    made = ensure(tmp_path, Maker())
    damage(Path(made.folder))
    (line,) = kept(tmp_path)
    size = sum(path.stat().st_size for path in Path(made.folder).rglob("*") if path.is_file())
    assert line == Kept(what=f"damaged: {made.ref.key}", bytes=size, prepare_s=0.0)


def test_a_cache_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert kept(tmp_path / "missing") == []
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
    assert os.listdir(tmp_path / "making") == kept(tmp_path) == []


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
    assert [line.what for line in kept(tmp_path)] == ["onnxruntime float32 of torchvision:resnet18"]
    assert lock.exists()
    assert making.exists()


def test_the_folder_is_the_users_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path))
    assert artifact_cache.default_folder() == tmp_path
    monkeypatch.delenv("AUTOTUNE_CACHE")
    assert artifact_cache.default_folder() == platformdirs.user_cache_path("autotune")


# --------------------------------------------------------------------------------------------------------- accuracy

FOUND = Accuracy(metric="accuracy", samples=10, reference=0.9, value=0.8, drop=Estimate(estimate=0.1, low=0, high=0.2))


class Judge(Maker):
    """A maker that also finds accuracies; `judged` are the jobs for those."""

    def __call__(self, job: PrepareJob, what: str) -> None:
        if not job.reference:
            super().__call__(job, what)
            return
        self.jobs.append(job)
        self.said.append(what)
        (Path(job.folder) / ACCURACY).write_bytes(msgspec.json.encode(FOUND))

    @property
    def judged(self) -> list[PrepareJob]:
        return [job for job in self.jobs if job.reference]


@pytest.fixture
def labelled(tmp_path: Path) -> WorkloadSpec:
    (tmp_path / "data.npz").write_bytes(b"rows")
    return msgspec.structs.replace(fakes.WORKLOAD, inputs=(), data=DataSpec(source=str(tmp_path / "data.npz")))


def accuracy(
    cache: Path, run: Judge, spec: WorkloadSpec, asked: Config | None = None, hw: Hardware = HW
) -> Accuracy | None:
    return artifacts.accuracy(spec, asked or config(), hw, RULES, run, cache)


def test_without_data_there_is_no_accuracy(tmp_path: Path) -> None:
    run = Judge()
    assert accuracy(tmp_path, run, fakes.WORKLOAD) is None
    assert run.jobs == []


def test_accuracy_is_found_once_from_model_and_reference(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    assert accuracy(tmp_path, run, labelled) == accuracy(tmp_path, run, labelled) == FOUND
    assert run.said == [
        "reference outputs of torchvision:resnet18",
        "onnxruntime float32 of torchvision:resnet18",
        "accuracy of onnxruntime float32 of torchvision:resnet18",
    ]
    (job,) = run.judged
    reference = artifacts.reference(labelled, HW, RULES, run, tmp_path)
    assert reference is not None
    assert (job.reference, job.source) == (reference.folder, ensure(tmp_path, run, spec=labelled).folder)
    assert len(run.jobs) == 3


def test_what_changes_no_answer_shares_an_accuracy(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    for knobs in ({}, {"layout": "2x1", "allocator": "tcmalloc", "huge_pages": True}):
        accuracy(tmp_path, run, labelled, config(knobs=knobs))
    (job,) = run.judged
    assert job.config is not None
    assert job.config.knobs == {"layout": "1x2", "fast_math": "strict", "interpreter": "own"}


@pytest.mark.parametrize(
    "asked",
    [
        config(batch_size=4),
        config(graph_level="basic"),
        config(knobs={"fast_math": "bf16"}),
        config("torch_eager"),
        config("openvino"),
    ],
    ids=["batch size", "option", "fast math", "nothing prepared", "backend"],
)
def test_what_changes_answers_is_judged_by_itself(tmp_path: Path, labelled: WorkloadSpec, asked: Config) -> None:
    run = Judge()
    for one in (config(), asked, asked):
        accuracy(tmp_path, run, labelled, one)
    assert len(run.judged) == 2
    assert run.judged[-1].config is not None
    assert run.judged[-1].config.options == asked.options


def test_another_runtime_or_cpu_is_judged_again(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    newer = msgspec.structs.replace(HW, packages=HW.packages | {"onnxruntime": "99"})
    for hw in (HW, newer, msgspec.structs.replace(HW, isa=("avx2",))):
        accuracy(tmp_path, run, labelled, hw=hw)
    assert len(run.judged) == 3
    assert len(run.jobs) == 5  # one reference, one model


def test_another_metric_leaves_the_models(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run, metric = Judge(), tmp_path / "metric.py"
    assert labelled.data is not None
    for content in ("def f(): ...", "def f(): pass"):
        metric.write_text(content)
        data = msgspec.structs.replace(labelled.data, metric=f"{metric}:f")
        accuracy(tmp_path, run, msgspec.structs.replace(labelled, data=data))
    assert [job.backend for job in run.jobs] == [None, "onnxruntime", "onnxruntime", None, "onnxruntime"]
    assert len(run.judged) == 2


def test_other_rows_make_all_again(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    accuracy(tmp_path, run, labelled)
    (tmp_path / "data.npz").write_bytes(b"other rows")
    accuracy(tmp_path, run, labelled)
    assert len(run.jobs) == 6


def test_a_failure_to_judge_is_remembered(tmp_path: Path, labelled: WorkloadSpec) -> None:
    class Failing(Judge):
        def __call__(self, job: PrepareJob, what: str) -> None:
            super().__call__(job, what)
            if job.reference:
                raise failed("the first output is NaN for 3 of 10 samples")

    run = Failing()
    for _ in range(2):
        with pytest.raises(PreparationFailed, match="the first output is NaN"):
            accuracy(tmp_path, run, labelled)
    assert len(run.judged) == 1
