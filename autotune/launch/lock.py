"""One measurement on a machine at a time, whoever starts it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from autotune.core.errors import MachineError
from autotune.hardware import kernel_files

DEFAULT = "/tmp/autotune-measuring.lock"
POLL_S = 1.0


def default_path() -> Path:
    """`$AUTOTUNE_LOCK`, for parts of a machine that share nothing; else one file for all users of this machine."""
    return Path(os.environ.get("AUTOTUNE_LOCK") or DEFAULT)


@contextlib.contextmanager
def held(path: Path, waiting: Callable[[str], None]) -> Iterator[int]:
    """The machine's lock, waited for; `waiting` is told once who holds it. Gives the descriptor that holds it.

    A process that inherits the descriptor holds the lock too. MachineError if the file cannot be opened.
    """
    try:
        descriptor = _opened(path)
    except OSError as error:
        raise MachineError(
            f"the machine's lock {path} cannot be opened: {error.strerror}; name another file in AUTOTUNE_LOCK"
        ) from error
    try:
        if not _taken(descriptor, path):
            waiting(_holder(descriptor))
            while not _taken(descriptor, path):
                time.sleep(POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """Everybody may lock it: reading is enough, and another user's file in /tmp can be opened in no other way."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, 0o644)
        return descriptor


def _taken(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MachineError(
            f"the machine's lock {path} cannot be held: {error.strerror}; name a local file in AUTOTUNE_LOCK"
        ) from error
    return True


def _holder(descriptor: int) -> str:
    """`process 123 (python -m autotune --space x.yaml)`, as far as the kernel tells."""
    inode = os.fstat(descriptor).st_ino
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            found = re.search(rf"FLOCK\s+\S+\s+\S+\s+(\d+)\s+\S+:{inode}\s", line)
            if found:
                pid = found[1]
                words = kernel_files.read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").split()
                if not words:  # it ended
                    return f"process {pid}, or what it started and left behind"
                return f"process {pid} ({' '.join(words)[:120]})"
    return "another process"
