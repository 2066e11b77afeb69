"""Reading the files of /proc and /sys: their text, and the kernel's notation for CPUs."""

from __future__ import annotations

import re
from pathlib import Path


def read(path: Path) -> str:
    """A file's text, stripped; empty when it does not exist or cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def cpu_list(text: str) -> tuple[int, ...]:
    """`"0-2,8"` -> (0, 1, 2, 8), the kernel's notation; empty for anything else."""
    cpus: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part.strip())
        if found is None or int(found[2] or found[1]) < int(found[1]):
            return ()
        cpus += range(int(found[1]), int(found[2] or found[1]) + 1)
    return tuple(cpus)
