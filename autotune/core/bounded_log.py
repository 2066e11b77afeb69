"""A log that stays short: its first and its last part, and in between a line that says how much was left out."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

ALLOWED_BYTES = 64 * 2**20
"""What a log may take of the disk while a process still writes it."""

KEPT_BYTES = 2**20
"""What is kept of each end."""

LEFT_OUT = b"\n[autotune left out %d bytes here]\n"

PUNCH_HOLE = 0x01 | 0x02
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE."""


def free(path: Path) -> None:
    """Give back what the middle of a long log takes of the disk, while a process appends to it (O_APPEND).

    It is a hole then, and nothing of the ends is lost. Where the file system knows no holes only the first part stays.
    """
    state = path.stat()
    if state.st_blocks * 512 <= ALLOWED_BYTES:
        return
    with path.open("r+b") as log:
        length = state.st_size - 2 * KEPT_BYTES
        if _fallocate(log.fileno(), PUNCH_HOLE, KEPT_BYTES, length) != 0:
            os.ftruncate(log.fileno(), KEPT_BYTES)


def cut(path: Path) -> None:
    """Cut the middle out of a long log that nobody writes any longer."""
    size = path.stat().st_size
    if (left_out := size - 2 * KEPT_BYTES) <= len(LEFT_OUT) * 2:
        return
    with path.open("r+b") as log:
        log.seek(size - KEPT_BYTES)
        last = log.read()
        log.truncate(KEPT_BYTES)
        log.seek(KEPT_BYTES)
        log.write(LEFT_OUT % left_out + last)


_fallocate = ctypes.CDLL(None).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
