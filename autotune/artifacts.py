"""Prepared models, made once and kept: a content-addressed cache that several processes may share.

    <cache>/artifacts/<key>/   the files, and manifest.json with the digest of each
    <cache>/failures/<key>.log what a preparation that failed said, so that it is not tried again
    <cache>/locks/<key>.lock   held while the artifact is made
    <cache>/inductor/          inductor's own cache

The folder is $AUTOTUNE_CACHE, else the user's cache folder (XDG); only its owner may enter it, since native code is
loaded from it, and content is checked against the manifest before it is.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import msgspec
import platformdirs

from autotune import plugins, workload
from autotune.errors import CacheError
from autotune.files import write_atomically
from autotune.protocol import PrepareJob
from autotune.results import ArtifactRef
from autotune.types import Config, Hardware, MeasureRules, Struct, WorkloadSpec, digest

Run = Callable[[PrepareJob, str], None]
"""Runs a preparation in a clean child and says what it makes; raises PreparationFailed."""

MANIFEST = "manifest.json"


class PreparationFailed(Exception):
    """A preparation that ended without its artifact; `log` is what the child wrote."""

    def __init__(self, message: str, log: str = "", remember: bool = True) -> None:
        super().__init__(message)
        self.log = log
        self.remember = remember


class FileEntry(Struct):
    """A file of an artifact."""

    bytes: int
    sha256: str


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


def reference(spec: WorkloadSpec, hw: Hardware, rules: MeasureRules, run: Run, cache: Path) -> Artifact:
    """The outputs of the float32 eager model on the first samples, against which every trial is checked."""
    key = digest(("reference", workload.cache_key(spec), rules.verify_samples, _versions(spec, hw)))

    def make(folder: Path) -> None:
        run(
            PrepareJob(workload=spec, hardware=hw, rules=rules, folder=str(folder)),
            f"reference outputs of {spec.model}",
        )

    return _ensure(key, f"reference outputs of {spec.model}", make, cache)


def ensure(
    spec: WorkloadSpec, config: Config, hw: Hardware, rules: MeasureRules, run: Run, cache: Path
) -> Artifact | None:
    """The backend's model for this configuration, and first what it is made from; None if it needs no preparation."""
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    parts = backend.cache_key(options, config, hw)
    if parts is None:
        return None
    source = None
    if (named := backend.source(options)) is not None:
        other = msgspec.structs.replace(config, backend=named[0], options=named[1])
        source = ensure(spec, other, hw, rules, run, cache)
    made_from = source.ref.key if source else _versions(spec, hw)
    key = digest((config.backend, config.options, workload.cache_key(spec), parts, made_from))
    what = " ".join((config.backend, *map(str, config.options.values()), "of", spec.model))

    def make(folder: Path) -> None:
        job = PrepareJob(
            workload=spec,
            hardware=hw,
            rules=rules,
            folder=str(folder),
            backend=config.backend,
            config=config,
            source=source.folder if source else None,
        )
        run(job, what)

    return _ensure(key, what, make, cache)


def _versions(spec: WorkloadSpec, hw: Hardware) -> list[tuple[str, str | None]]:
    return [(name, hw.packages.get(name)) for name in workload.provider(spec).packages]


def _ensure(key: str, what: str, make: Callable[[Path], None], cache: Path) -> Artifact:
    """The artifact of a key, made by `make` in a temporary folder if it is not there, complete or not at all."""
    folder, failure = cache / "artifacts" / key, cache / "failures" / f"{key}.log"
    with _usable(cache), filelock.FileLock(cache / "locks" / f"{key}.lock"):
        if (manifest := _checked(folder)) is not None:
            return Artifact(folder=str(folder), ref=msgspec.structs.replace(manifest.ref, key=key, prepare_s=0.0))
        if failure.exists():
            first, _, log = failure.read_text(errors="replace").partition("\n")
            raise PreparationFailed(f"{first} (remembered; `python -m autotune cache --clear` forgets)", log)
        making = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=cache / "making"))
        try:
            started = time.monotonic()
            make(making)
            manifest = Manifest(what=what, prepare_s=time.monotonic() - started, files=_files(making))
            (making / MANIFEST).write_bytes(msgspec.json.encode(manifest))
            shutil.rmtree(folder, ignore_errors=True)
            making.rename(folder)
        except PreparationFailed as error:
            if error.remember:
                write_atomically(failure, f"{error}\n{error.log}".encode())
            raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return Artifact(folder=str(folder), ref=msgspec.structs.replace(manifest.ref, key=key))


@contextlib.contextmanager
def _usable(cache: Path) -> Iterator[None]:
    try:
        for name in ("artifacts", "failures", "locks", "making"):
            (cache / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        cache.chmod(0o700)
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CacheError(
                f"no space left for the artifact cache {cache}; free some, run `python -m autotune cache --clear`, "
                "or set AUTOTUNE_CACHE to a folder on another disk"
            ) from error
        raise CacheError(
            f"the artifact cache {cache} cannot be used: {error.strerror}; set AUTOTUNE_CACHE to a folder of yours"
        ) from error


def _checked(folder: Path) -> Manifest | None:
    """The manifest if every file is there with its digest; None if the artifact is missing, incomplete or changed.

    A process reads a file's content once, and again when its time, size or inode has changed.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        return manifest if _files(folder) == manifest.files else None
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _files(folder: Path) -> dict[str, FileEntry]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): _entry(path) for path in paths}


def _entry(path: Path) -> FileEntry:
    stat = path.stat()
    return _digested(path, (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino))


@functools.lru_cache(maxsize=10_000)
def _digested(path: Path, _: tuple[int, ...]) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


# ------------------------------------------------------------------------------------------- looking and clearing


class Kept(Struct):
    """One line of `python -m autotune cache`."""

    what: str
    bytes: int
    prepare_s: float


def kept(cache: Path) -> list[Kept]:
    """What the cache holds: artifacts, remembered failures, inductor's own cache."""
    lines = []
    for path in sorted((cache / "artifacts").glob(f"*/{MANIFEST}")):
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        lines.append(Kept(what=manifest.what, bytes=manifest.ref.bytes, prepare_s=manifest.prepare_s))
    for path in sorted((cache / "failures").glob("*.log")):
        with path.open(errors="replace") as file:
            lines.append(Kept(what=f"failed: {file.readline().strip()}", bytes=path.stat().st_size, prepare_s=0.0))
    inductor = sum(path.stat().st_size for path in (cache / "inductor").rglob("*") if path.is_file())
    if inductor:
        lines.append(Kept(what="inductor's cache", bytes=inductor, prepare_s=0.0))
    return lines


def clear(cache: Path) -> None:
    """Remove everything that autotune made in the folder, and nothing else."""
    for name in ("artifacts", "failures", "making", "inductor", "locks"):
        shutil.rmtree(cache / name, ignore_errors=True)
