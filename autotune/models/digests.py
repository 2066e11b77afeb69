"""Sizes and digests of the files of a folder, so that a file that was changed is found."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from autotune.core.struct import Struct


class FileEntry(Struct):
    """A file of an artifact."""

    bytes: int
    sha256: str


def of_folder(folder: Path, besides: str) -> dict[str, FileEntry]:
    """Every file in the folder and below, by its relative path, but for those of one name.

    A process reads a file's content once, and again when its time, size or inode has changed.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != besides)
    return {str(path.relative_to(folder)): _entry(path) for path in paths}


def _entry(path: Path) -> FileEntry:
    stat = path.stat()
    return _digested(path, (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino))


@functools.lru_cache(maxsize=10_000)
def _digested(path: Path, _: tuple[int, ...]) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
