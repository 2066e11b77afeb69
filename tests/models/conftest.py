from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models.makers import hold


@pytest.fixture
def holding() -> Iterator[Callable[[Path], None]]:
    """Has another process hold a lock until the test ends."""
    context = multiprocessing.get_context("spawn")
    done, started = context.Event(), []

    def start(lock: Path) -> None:
        held = context.Event()
        started.append(context.Process(target=hold, args=(lock, held, done)))
        started[-1].start()
        assert held.wait(30)

    yield start
    done.set()
    for process in started:
        process.join(30)
