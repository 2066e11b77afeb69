"""The lock of a study's folder: one process writes, and says which it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from autotune.core.errors import StudyError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock; StudyError names the process that has it, or why it cannot be taken."""
    try:
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise StudyError(
            f"the study {folder} cannot be written: {error.strerror}; mend that, or choose another with --studies"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StudyError(
                f"the study {folder} is being written by process {file.read().strip() or 'unknown'}; "
                "wait for it, or choose another --name"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)
