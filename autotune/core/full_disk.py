"""Full disks: the errors that tell of one, and which of several folders lies on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""No fault of a configuration: these end a study."""

LEAST_FREE_BYTES = 2**20
"""With less, a disk is full: what failed on it may have left a little."""


def error_number(error: BaseException) -> int | None:
    """The number of a full disk's error, also of one that a library reworded; None of another error."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return error.errno
    return mentioned(str(error))


def error_in_log(log: str, folders: Iterable[str | Path]) -> OSError | None:
    """The error of a full disk that a log mentions, where one of the folders, or of those for temporary files, is full.

    A program may mention one and go on, to die of something else.
    """
    number, folder = mentioned(log), fullest(folders)
    if number is None or free_bytes(folder) >= LEAST_FREE_BYTES:
        return None
    return OSError(number, os.strerror(number), folder)


def full_path(error: BaseException, folders: Iterable[str | Path]) -> str:
    """The path that an error of a full disk names, else the fullest of the folders and those for temporary files."""
    named = getattr(error, "filename", None)
    return os.path.abspath(os.fsdecode(named)) if isinstance(named, str | bytes) else fullest(folders)


def fullest(folders: Iterable[str | Path]) -> str:
    """The folder with the least space left, of these and those for temporary files; the first of equal ones."""
    temporary = (os.environ.get("TMPDIR") or "/tmp", "/dev/shm")
    return min((str(folder) for folder in (*folders, *temporary)), key=free_bytes)


def free_bytes(folder: str | Path) -> float:
    """The bytes that may still be written there; infinite where that cannot be read."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return float("inf")
    no_files = state.f_files > 0 and state.f_favail == 0  # btrfs counts none
    return 0.0 if no_files else state.f_bavail * state.f_frsize


def same_disk(one: str | Path, other: str | Path) -> bool:
    """True if two paths, or the nearest folders above them that exist, lie on one file system."""
    return _device(Path(one)) == _device(Path(other))


def mentioned(text: str) -> int | None:
    """The number of a full disk's error that a text mentions, or None."""
    return next((number for number in NO_SPACE if os.strerror(number) in text), None)


def _device(path: Path) -> int:
    return next(above.stat().st_dev for above in (path, *path.absolute().parents) if above.exists())
