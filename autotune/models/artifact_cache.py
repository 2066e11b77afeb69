"""Prepared models, made once and kept: a content-addressed cache that several processes may share.

    <cache>/artifacts/<key>/   the files, and manifest.json with the digest of each
    <cache>/failures/<key>.json an export or a conversion that failed and would again, with what it said
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

from autotune.core import full_disk
from autotune.core.errors import CacheError
from autotune.core.files import write_atomically
from autotune.core.results import ArtifactRef
from autotune.core.struct import Struct, digest
from autotune.models import digests
from autotune.models.digests import FileEntry

MANIFEST = "manifest.json"
SHOWN = 12
"""The digits of a key that a person has to give."""
WAIT_S = 900.0
"""The longest wait for another process that makes the same artifact."""

FOLDERS = ("artifacts", "failures", "locks", "making", "inductor", "package")


class PreparationFailed(Exception):
    """A preparation that ended without its artifact; `log` is what the child wrote.

    `remember` it only if it would fail again: not when time, memory or disk ran out.
    """

    def __init__(self, message: str, log: str = "", *, remember: bool) -> None:
        super().__init__(message)
        self.log = log
        self.remember = remember


class Wanted(Struct):
    """An artifact that is asked for: its key, what it is in words, and the digest of the model that it is of."""

    key: str
    what: str
    workload: str


class Manifest(Struct):
    """The files of an artifact and the seconds that making it took."""

    what: str
    prepare_s: float
    files: dict[str, FileEntry]
    workload: str = ""

    @property
    def ref(self) -> ArtifactRef:
        return ArtifactRef(
            key="",
            sha256=digest(self.files),
            bytes=sum(entry.bytes for entry in self.files.values()),
            prepare_s=self.prepare_s,
        )


class Failure(Struct):
    """A preparation that is not tried again: its error in one line, and what the child wrote."""

    what: str
    workload: str
    message: str
    log: str


class Artifact(Struct):
    """A complete artifact in its folder."""

    folder: str
    ref: ArtifactRef


def default_folder() -> Path:
    """The folder of artifacts: $AUTOTUNE_CACHE, else the user's cache folder."""
    return Path(os.environ.get("AUTOTUNE_CACHE") or platformdirs.user_cache_path("autotune"))


def get_or_make(wanted: Wanted, make: Callable[[Path], None], cache: Path, wait_s: float) -> Artifact:
    """The artifact, made by `make` in a temporary folder if it is not there, complete or not at all."""
    key, what = wanted.key, wanted.what
    folder, failure = cache / "artifacts" / key, cache / "failures" / f"{key}.json"
    ours = functools.partial(_explained, cache, what, ours=True)
    with ours():
        _make_folders(cache)
        held = _locked(cache, key, what, wait_s)
    with held:
        with ours():
            if (manifest := _intact(folder)) is not None:
                return Artifact(folder=str(folder), ref=msgspec.structs.replace(manifest.ref, key=key, prepare_s=0.0))
            if (known := _remembered(failure)) is not None:
                again = f"{known.message} (remembered; `python -m autotune cache --clear {key[:SHOWN]}` forgets)"
                raise PreparationFailed(again, known.log, remember=False)
            _remove((cache / "making").glob(f"{key[:12]}-*"))  # of a coordinator that was killed
            making = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=cache / "making"))
        try:
            started = time.monotonic()
            with _explained(cache, what, ours=False):
                make(making)
            with ours():
                manifest = Manifest(
                    what=what,
                    prepare_s=time.monotonic() - started,
                    files=digests.of_folder(making, MANIFEST),
                    workload=wanted.workload,
                )
                (making / MANIFEST).write_bytes(msgspec.json.encode(manifest))
                _remove([folder])
                making.rename(folder)
        except PreparationFailed as error:
            log = f"{error}\n{error.log}"
            if (full := full_disk.error_in_log(log, [cache])) is not None:
                raise _no_space(cache, what, full) from error
            # The disk that a log mentions may have been full only while the child ran.
            if error.remember and full_disk.mentioned(log) is None:
                kept = Failure(what=what, workload=wanted.workload, message=str(error), log=error.log)
                with ours():
                    write_atomically(failure, msgspec.json.encode(kept))
            raise
        finally:
            _remove([making])
        return Artifact(folder=str(folder), ref=msgspec.structs.replace(manifest.ref, key=key))


def _make_folders(cache: Path) -> None:
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
def _explained(cache: Path, what: str, *, ours: bool) -> Iterator[None]:
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


def _remembered(failure: Path) -> Failure | None:
    """The failure in a file; None if there is none, or it was cut short."""
    try:
        return msgspec.json.decode(failure.read_bytes(), type=Failure)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _intact(folder: Path) -> Manifest | None:
    """The manifest if every file is there with its digest; None if the artifact is missing, incomplete or changed."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        return manifest if digests.of_folder(folder, MANIFEST) == manifest.files else None
    except (FileNotFoundError, msgspec.DecodeError):
        return None
