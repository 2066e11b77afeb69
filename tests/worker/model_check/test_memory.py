from __future__ import annotations

from collections.abc import Iterator

import pytest

from autotune.worker.model_check import memory
from tests.worker.model_check import numpy_models
from tests.worker.model_check.numpy_models import plain

MIB = 2**20


def held(monkeypatch: pytest.MonkeyPatch, *sizes: int) -> None:
    """The process holds so much after each call, the last size from then on."""

    def readings() -> Iterator[int]:
        yield from sizes
        while True:
            yield sizes[-1]

    left = readings()
    monkeypatch.setattr(memory.process_info, "rss_bytes", lambda: next(left))


def found(seconds: float = 1e-6) -> str | None:
    subject = numpy_models.subject(plain)
    said = memory.find(subject, subject.picked(0), seconds)
    return None if said is None else said.what


def test_memory_that_grows_is_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, *range(0, 51 * MIB, MIB))
    assert found() == "memory grows by 1.0 MiB a call"


def test_memory_that_an_allocator_takes_once_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, *range(0, 30 * MIB, MIB))
    assert found() is None
    held(monkeypatch, *[0] * 40, *[50 * MIB] * 11)
    assert found() is None


def test_little_growth_and_slow_calls_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, *range(0, 51 * 1024, 1024))
    assert found() is None
    held(monkeypatch, *range(0, 51 * MIB, MIB))
    assert found(seconds=0.1) is None


def test_fewer_calls_than_say_something_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, *range(0, 51 * MIB, MIB))
    monkeypatch.setattr(memory, "SECONDS", 0)
    assert found(seconds=0) is None
