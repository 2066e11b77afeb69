"""A full disk, in words that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from autotune.core.errors import StudyError
from autotune.core.full_disk import NO_SPACE


@contextlib.contextmanager
def reported(folder: Path) -> Iterator[None]:
    """Turns a full disk into a StudyError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise StudyError(message(str(error.filename or folder))) from error


def message(where: str) -> str:
    """The advice, naming what could not be written."""
    return f"no space left for {where}; free some and run the same command again: finished trials are kept"
