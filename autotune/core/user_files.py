"""Files that a user names: their absolute paths, and digests of their content."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from autotune.core.errors import ModelError


def absolute(name: str, folder: Path) -> str:
    """The absolute path of a file named relative to a folder; ModelError if there is none."""
    path = folder / name
    if not path.is_file():
        raise ModelError(f"there is no file {name!r}; looked for in {folder.resolve()}")
    return str(path.resolve())


def sha256(path: str | Path, what: str = "the file") -> str:
    """The SHA-256 of a file, read once for each of its states; ModelError if it cannot be read."""
    try:
        state = Path(path).stat()
        return _sha256(str(path), state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise ModelError(f"{what} {path} cannot be read: {error.strerror}") from error


@functools.cache
def _sha256(path: str, modified_ns: int, size: int) -> str:
    """The key is asked for at every trial. Python 3.10 has no hashlib.file_digest."""
    read = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            read.update(chunk)
    return read.hexdigest()
