"""Prepared models, made once and kept: a content-addressed cache that several processes may share.

    <cache>/artifacts/<key>/   the files, and manifest.json with the digest of each
    <cache>/failures/<key>.log what a preparation that failed said, so that it is not tried again
    <cache>/locks/<key>.lock   held while the artifact is checked or made, not while it is used
    <cache>/making/<key>-*/    an artifact that is being made
    <cache>/inductor/          inductor's own cache
    <cache>/package/           a link to autotune itself, for workers in other environments

The folder is $AUTOTUNE_CACHE, else the user's cache folder (XDG). A folder that is there keeps its mode; what is made
is the owner's alone (0700). A subfolder of another user is refused, for root too, since code is loaded from it.
An artifact is checked against its manifest before it is loaded; the manifest lies beside it, so this finds damage, not
malice. Inductor's own cache is not checked by autotune at all.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import filelock
import msgspec
import platformdirs

from autotune.core import full_disk, plugins
from autotune.core.config import Config
from autotune.core.errors import CacheError
from autotune.core.files import write_atomically
from autotune.core.machine import Hardware
from autotune.core.protocol import ACCURACY, PrepareJob
from autotune.core.results import Accuracy, ArtifactRef
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct, digest
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import data, digests, workload
from autotune.models.digests import FileEntry

Run = Callable[[PrepareJob, str], None]
"""Runs a preparation in a clean child and says what it makes; raises PreparationFailed."""

MANIFEST = "manifest.json"
PREPARED = 4
"""A part of every key: raise it when what a backend prepares changes."""

WAIT_S = 900.0
"""How long to wait for another process that makes the same artifact."""

FOLDERS = ("artifacts", "failures", "locks", "making", "inductor", "package")


class PreparationFailed(Exception):
    """A preparation that ended without its artifact; `log` is what the child wrote.

    `remember` it only if it would fail again: not when time, memory or disk ran out.
    """

    def __init__(self, message: str, log: str = "", *, remember: bool) -> None:
        super().__init__(message)
        self.log = log
        self.remember = remember


class Manifest(Struct):
    """What an artifact holds and what it took to make."""

    what: str
    prepare_s: float
    files: dict[str, FileEntry]

    @property
    def ref(self) -> ArtifactRef:
        return ArtifactRef(
            key="",
            sha256=digest(self.files),
            bytes=sum(entry.bytes for entry in self.files.values()),
            prepare_s=self.prepare_s,
        )


class Artifact(Struct):
    """A complete artifact in its folder."""

    folder: str
    ref: ArtifactRef


def default_folder() -> Path:
    """Where artifacts are kept."""
    return Path(os.environ.get("AUTOTUNE_CACHE") or platformdirs.user_cache_path("autotune"))


def reference(
    spec: WorkloadSpec, hw: Hardware, rules: MeasureRules, run: Run, cache: Path, wait_s: float = WAIT_S
) -> Artifact | None:
    """The outputs of the plain float32 model on the first samples, against which every trial is checked.

    Where there is data, also its answers to all that is judged. None for a command, whose outputs nobody sees.
    """
    if workload.provider(spec).form == "command":
        return None
    metric = data.metric_key(spec.data) if spec.data else None
    made_from = (workload.cache_key(spec), metric, rules.verify_samples, _versions(spec, hw))
    key, what = digest((PREPARED, "reference", made_from)), f"reference outputs of {spec.model}"

    def make(folder: Path) -> None:
        run(PrepareJob(key=key, workload=spec, hardware=hw, rules=rules, folder=str(folder)), what)

    return _ensure(key, what, make, cache, wait_s)


def ensure(
    spec: WorkloadSpec,
    config: Config,
    hw: Hardware,
    rules: MeasureRules,
    run: Run,
    cache: Path,
    wait_s: float = WAIT_S,
) -> Artifact | None:
    """The backend's model for this configuration, and first what it is made from; None if it needs no preparation.

    Of the options and the machine, only what the backend's `cache_key` returns tells artifacts apart.
    """
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    hw = hw.seen_by(config.interpreter)
    parts = backend.cache_key(options, config, hw)
    if parts is None:
        return None
    source = None
    if (origin := backend.source(options)) is not None:
        other = msgspec.structs.replace(config, backend=origin[0], options=origin[1])
        source = ensure(spec, other, hw, rules, run, cache, wait_s)
    made_from = source.ref.key if source else _versions(spec, hw)
    key = digest((PREPARED, config.backend, workload.cache_key(spec), parts, made_from))
    what = f"{_named(config)} of {spec.model}"

    def make(folder: Path) -> None:
        job = PrepareJob(
            key=key,
            workload=spec,
            hardware=hw,
            rules=rules,
            folder=str(folder),
            backend=config.backend,
            config=config,
            source=source.folder if source else None,
        )
        run(job, what)

    return _ensure(key, what, make, cache, wait_s)


def accuracy(
    spec: WorkloadSpec, config: Config, hw: Hardware, rules: MeasureRules, run: Run, cache: Path
) -> Accuracy | None:
    """The accuracy of a configuration's answers on the workload's data, and that of the reference; None without data.

    Of the knobs only those that change answers count: the others' values share it. All cores compute it.
    """
    if spec.data is None or (wanted := reference(spec, hw, rules, run, cache)) is None:
        return None
    model = ensure(spec, config, hw, rules, run, cache)
    judged = [name for name in config.knobs if getattr(plugins.load("knobs", name), "changes_answers", False)]
    knobs = {name: config.knobs[name] for name in judged}
    versions = _installed(plugins.load("backends", config.backend).packages, hw.seen_by(config.interpreter))
    answering = (config.backend, config.options, config.workload, knobs, model.ref.key if model else None, versions)
    key = digest((PREPARED, "accuracy", wanted.ref.key, answering, hw.architecture, hw.isa))
    what = f"accuracy of {_named(config)} of {spec.model}"

    def make(folder: Path) -> None:
        job = PrepareJob(
            key=key,
            workload=spec,
            hardware=hw.seen_by(config.interpreter),
            rules=rules,
            folder=str(folder),
            backend=config.backend,
            config=msgspec.structs.replace(config, knobs={"layout": f"1x{len(hw.cores)}", **knobs}),
            source=model.folder if model else None,
            reference=wanted.folder,
        )
        run(job, what)

    found = _ensure(key, what, make, cache, WAIT_S)
    return msgspec.json.decode((Path(found.folder) / ACCURACY).read_bytes(), type=Accuracy)


def _named(config: Config) -> str:
    """The backend and those of its options that people tell models apart by."""
    named = [str(config.options[option]) for option in ("memory_format", "precision") if option in config.options]
    return " ".join((config.backend, *named))


def _installed(packages: Iterable[str], hw: Hardware) -> list[tuple[str, str | None]]:
    return [(name, hw.packages.get(name)) for name in packages]


def _versions(spec: WorkloadSpec, hw: Hardware) -> list[tuple[str, str | None]]:
    return _installed(workload.provider(spec).packages, hw)


def _ensure(key: str, what: str, make: Callable[[Path], None], cache: Path, wait_s: float) -> Artifact:
    """The artifact of a key, made by `make` in a temporary folder if it is not there, complete or not at all."""
    folder, failure = cache / "artifacts" / key, cache / "failures" / f"{key}.log"
    ours = functools.partial(_told, cache, what, ours=True)
    with ours():
        _own(cache)
        held = _locked(cache, key, what, wait_s)
    with held:
        with ours():
            if (manifest := _checked(folder)) is not None:
                return Artifact(folder=str(folder), ref=msgspec.structs.replace(manifest.ref, key=key, prepare_s=0.0))
            if failure.exists():
                first, _, log = failure.read_text(errors="replace").partition("\n")
                again = f"{first} (remembered; `python -m autotune cache --clear` forgets)"
                raise PreparationFailed(again, log, remember=False)
            _remove((cache / "making").glob(f"{key[:12]}-*"))  # of a coordinator that was killed
            making = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=cache / "making"))
        try:
            started = time.monotonic()
            with _told(cache, what, ours=False):
                make(making)
            with ours():
                manifest = Manifest(
                    what=what, prepare_s=time.monotonic() - started, files=digests.of_folder(making, MANIFEST)
                )
                (making / MANIFEST).write_bytes(msgspec.json.encode(manifest))
                _remove([folder])
                making.rename(folder)
        except PreparationFailed as error:
            if (full := full_disk.error_in_log(f"{error}\n{error.log}", [cache])) is not None:
                raise _no_space(cache, what, full) from error
            if error.remember:
                with ours():
                    write_atomically(failure, f"{error}\n{error.log}".encode())
            raise
        finally:
            _remove([making])
        return Artifact(folder=str(folder), ref=msgspec.structs.replace(manifest.ref, key=key))


def _own(cache: Path) -> None:
    """Make the cache's folders; CacheError where one belongs to another user, who could change what is loaded."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (cache / name for name in FOLDERS):
        path.mkdir(mode=0o700, exist_ok=True)
        if {path.lstat().st_uid, path.stat().st_uid} != {os.geteuid()}:
            raise CacheError(f"{path} belongs to another user; set AUTOTUNE_CACHE to a folder of yours")


def _locked(cache: Path, key: str, what: str, wait_s: float) -> contextlib.AbstractContextManager[object]:
    """The key's lock, held until the end of a `with`."""
    try:
        return filelock.FileLock(cache / "locks" / f"{key}.lock").acquire(timeout=wait_s)
    except filelock.Timeout as error:
        raise CacheError(
            f"another process has kept {what} locked for {wait_s:g} s; wait for it, end it, "
            f"or set AUTOTUNE_CACHE to another folder than {cache}"
        ) from error


@contextlib.contextmanager
def _told(cache: Path, what: str, *, ours: bool) -> Iterator[None]:
    """A full disk under the cache becomes a CacheError, and where only our own folders are used, every OSError does."""
    try:
        yield
    except OSError as error:
        if error.errno in full_disk.NO_SPACE:
            raise _no_space(cache, what, error) from error
        if not ours:
            raise
        raise CacheError(
            f"the artifact cache {cache} cannot be used: {error.strerror or error}; "
            "set AUTOTUNE_CACHE to a folder of yours"
        ) from error


def _no_space(cache: Path, what: str, error: OSError) -> Exception:
    """A CacheError where it is the cache's disk that is full, else the error with the path that is."""
    full = full_disk.full_path(error, [cache])
    if not full_disk.same_disk(full, cache):
        return OSError(error.errno, error.strerror, full)
    return CacheError(
        f"no space left while making {what}; cache {cache}: free some, run `python -m autotune cache --clear`, "
        "or set AUTOTUNE_CACHE to a folder on another disk"
    )


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def _checked(folder: Path) -> Manifest | None:
    """The manifest if every file is there with its digest; None if the artifact is missing, incomplete or changed."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        return manifest if digests.of_folder(folder, MANIFEST) == manifest.files else None
    except (FileNotFoundError, msgspec.DecodeError):
        return None
