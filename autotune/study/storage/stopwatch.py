"""The wall time of a study over all its runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy


@contextlib.contextmanager
def stopwatch(study: OpenStudy, clock: Callable[[], float]) -> Iterator[Callable[[], float]]:
    """The study's wall time, earlier runs included; kept however the search ends."""
    before, begin = store.elapsed_s(study.folder), clock()

    def elapsed() -> float:
        return before + clock() - begin

    try:
        yield elapsed
    finally:
        store.write_elapsed(study.folder, elapsed())
