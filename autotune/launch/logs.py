"""The logs of running workers, watched: a model that prints without end must not fill the disk.

Workers write to files, which costs them nothing more; a pipe would have to be read beside a measurement.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from autotune.core import bounded_log

NAMES = ("stdout.log", "stderr.log")
LOOK_S = 0.25


@contextlib.contextmanager
def bounded(folder: Path) -> Iterator[None]:
    """Keep the logs in the folder from filling the disk while the context lasts, and leave them short at its end."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_S):
            _each(folder, bounded_log.free)

    watching = threading.Thread(target=watch, name="logs", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
        _each(folder, bounded_log.cut)


def _each(folder: Path, shorten: Callable[[Path], None]) -> None:
    for name in NAMES:
        with contextlib.suppress(OSError):  # it is not there, or its disk is full
            shorten(folder / name)
