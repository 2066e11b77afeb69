"""Looking into the folder of prepared models, and clearing it, or what it has of one model or under one key."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import filelock
import msgspec

from autotune.core.errors import CacheError
from autotune.core.struct import Struct
from autotune.models.artifact_cache import MANIFEST, Failure, Manifest


class CacheEntry(Struct):
    """One line of `python -m autotune cache`; `workload` is the digest of the model that it is of."""

    what: str
    bytes: int
    prepare_s: float
    key: str = ""
    workload: str = ""


def contents(cache: Path) -> list[CacheEntry]:
    """The contents of the cache: artifacts, remembered failures, inductor's own cache."""
    lines = []
    for folder in sorted((cache / "artifacts").glob("*/")):
        try:
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
            what, size, prepare_s, of = manifest.what, manifest.ref.bytes, manifest.prepare_s, manifest.workload
        except (OSError, msgspec.DecodeError):
            what, size, prepare_s, of = f"damaged: {folder.name}", _size(folder), 0.0, ""
        lines.append(CacheEntry(what=what, bytes=size, prepare_s=prepare_s, key=folder.name, workload=of))
    for path in sorted((cache / "failures").glob("*.json")):
        try:
            data = path.read_bytes()
            failure = msgspec.json.decode(data, type=Failure)
            what, of = f"failed: {failure.what}: {failure.message}", failure.workload
        except OSError:  # another process may clear it
            continue
        except msgspec.DecodeError:
            what, of = f"damaged: {path.name}", ""
        lines.append(CacheEntry(what=what, bytes=len(data), prepare_s=0.0, key=path.stem, workload=of))
    if inductor := _size(cache / "inductor"):
        lines.append(CacheEntry(what="inductor's cache", bytes=inductor, prepare_s=0.0))
    return lines


def _size(place: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    total = 0
    for path in (place, *place.rglob("*")):
        with contextlib.suppress(OSError):  # another process may just have removed it
            total += path.stat().st_size if path.is_file() else 0
    return total


def clear(cache: Path) -> int:
    """Remove what autotune made in the folder, and nothing else; the number of artifacts left since they are locked.

    The locks stay, since another process may wait for one. A trial that runs holds none: it may lose its artifact. The
    link to autotune itself stays: it holds no data, and workers in other environments import from it.
    """
    names = (path.name for name in ("artifacts", "failures", "locks") for path in (cache / name).glob("*"))
    skipped = forget(cache, {found[0] for name in names if (found := re.search("[0-9a-f]{64}", name))})
    shutil.rmtree(cache / "inductor", ignore_errors=True)
    return skipped


def forget(cache: Path, keys: Iterable[str]) -> int:
    """Remove the artifacts and failures of these keys; the number of those left since they are locked."""
    skipped = 0
    for key in sorted(keys):
        try:
            (cache / "locks").mkdir(mode=0o700, exist_ok=True)
            with filelock.FileLock(cache / "locks" / f"{key}.lock", timeout=0):
                for folder in (cache / "artifacts" / key, *(cache / "making").glob(f"{key[:12]}-*")):
                    shutil.rmtree(folder, ignore_errors=True)
                for path in (cache / "failures").glob(f"*{key}.*"):
                    path.unlink(missing_ok=True)
        except filelock.Timeout:
            skipped += 1
        except OSError as error:
            raise CacheError(f"the artifact cache {cache} cannot be cleared: {error.strerror or error}") from error
    return skipped
