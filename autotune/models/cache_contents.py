"""Looking into the folder of prepared models, and clearing it."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

import filelock
import msgspec

from autotune.core.errors import CacheError
from autotune.core.struct import Struct
from autotune.models.artifact_cache import MANIFEST, Manifest


class CacheEntry(Struct):
    """One line of `python -m autotune cache`."""

    what: str
    bytes: int
    prepare_s: float


def contents(cache: Path) -> list[CacheEntry]:
    """The contents of the cache: artifacts, remembered failures, inductor's own cache."""
    lines = []
    for folder in sorted((cache / "artifacts").glob("*/")):
        try:
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
            lines.append(CacheEntry(what=manifest.what, bytes=manifest.ref.bytes, prepare_s=manifest.prepare_s))
        except (OSError, msgspec.DecodeError):
            lines.append(CacheEntry(what=f"damaged: {folder.name}", bytes=_size(folder), prepare_s=0.0))
    for path in sorted((cache / "failures").glob("*.log")):
        with contextlib.suppress(OSError), path.open(errors="replace") as file:  # another process may clear it
            lines.append(
                CacheEntry(what=f"failed: {file.readline().strip()}", bytes=path.stat().st_size, prepare_s=0.0)
            )
    if inductor := _size(cache / "inductor"):
        lines.append(CacheEntry(what="inductor's cache", bytes=inductor, prepare_s=0.0))
    return lines


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # another process may just have removed it
            total += path.stat().st_size if path.is_file() else 0
    return total


def clear(cache: Path) -> int:
    """Remove what autotune made in the folder, and nothing else; the number of artifacts left since they are locked.

    The locks stay, since another process may wait for one. A trial that runs holds none: it may lose its artifact. The
    link to autotune itself stays: it holds no data, and workers in other environments import from it.
    """
    skipped = 0
    names = (path.name for name in ("artifacts", "failures", "locks") for path in (cache / name).glob("*"))
    for key in sorted({found[0] for name in names if (found := re.search("[0-9a-f]{64}", name))}):
        try:
            (cache / "locks").mkdir(mode=0o700, exist_ok=True)
            with filelock.FileLock(cache / "locks" / f"{key}.lock", timeout=0):
                for folder in (cache / "artifacts" / key, *(cache / "making").glob(f"{key[:12]}-*")):
                    shutil.rmtree(folder, ignore_errors=True)
                for path in (cache / "failures").glob(f"*{key}.log*"):
                    path.unlink(missing_ok=True)
        except filelock.Timeout:
            skipped += 1
        except OSError as error:
            raise CacheError(f"the artifact cache {cache} cannot be cleared: {error.strerror or error}") from error
    shutil.rmtree(cache / "inductor", ignore_errors=True)
    return skipped
