"""A log that stays short: its first and its last part, and in between a line that says how much was left out."""

from __future__ import annotations

import re
from pathlib import Path

ALLOWED_BYTES = 64 * 2**20
"""A log that is longer is cut while a process still writes it."""

KEPT_BYTES = 2**20
"""What is kept of each end."""

CUT = b"\n[autotune left out %15d bytes here]\n"
_CUT = re.compile(re.escape(CUT).replace(b"%15d", b" *([0-9]+)"))
_CUT_BYTES = len(CUT % 0)


def cut(path: Path, allowed_bytes: int = 2 * KEPT_BYTES + _CUT_BYTES) -> None:
    """Cut the middle out of a log that is longer than allowed.

    A process that appends to it (O_APPEND) goes on behind what is left; what it writes at this very moment may be lost.
    """
    size = path.stat().st_size
    if size <= allowed_bytes:
        return
    with path.open("r+b") as log:
        log.seek(KEPT_BYTES)
        before = _CUT.fullmatch(log.read(_CUT_BYTES))
        left_out = size - 2 * KEPT_BYTES + (int(before[1]) - _CUT_BYTES if before else 0)
        log.seek(size - KEPT_BYTES)
        last = log.read(KEPT_BYTES)
        log.truncate(KEPT_BYTES)
    with path.open("ab") as log:
        log.write(CUT % left_out + last)
