"""A search on a fake machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autotune.core.config import Config
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Space
from autotune.study.search.driver import search
from tests.fake_executor import FakeExecutor, speed
from tests.study.fakes import Watcher, in_memory, machine

HW = machine()
RULES = MeasureRules()


def run(folder: Path, space: Space, behave: Callable[[Config], float | Status] = speed) -> FakeExecutor:
    """The executor after a whole search in which each configuration behaves so."""
    ran = FakeExecutor(folder, behave)
    search(in_memory(folder, space, HW), ran, Watcher(), RULES)
    return ran
