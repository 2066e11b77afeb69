"""The logs of running workers, watched: a model that prints without end must not fill the disk.

Workers write to files, which costs them nothing more; a pipe would have to be read beside a measurement.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from autotune.core import bounded_log

NAMES = ("stdout.log", "stderr.log")
LOOK_S = 0.25


@contextlib.contextmanager
def bounded(folder: Path) -> Iterator[None]:
    """Keep the logs in the folder short as long as the context lasts, and leave them shorter at its end."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_S):
            _cut(folder, bounded_log.ALLOWED_BYTES)

    watching = threading.Thread(target=watch, name="logs", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
        _cut(folder)


def _cut(folder: Path, *allowed_bytes: int) -> None:
    for name in NAMES:
        with contextlib.suppress(OSError):  # it is not there, or its disk is full
            bounded_log.cut(folder / name, *allowed_bytes)
