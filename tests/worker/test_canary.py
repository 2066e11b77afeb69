from __future__ import annotations

import contextlib
import errno
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from autotune.core.protocol import Finish, Reply, Sense, Sensed
from autotune.core.results import Canary
from autotune.worker import canary
from autotune.worker.channel import Channel

CPU = min(os.sched_getaffinity(0))
PARTS = ("compute", "memory", "scalar")


@pytest.fixture
def threads() -> dict[int, canary._Thread]:
    """The threads of a canary; they sleep until this process ends."""
    return {}


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Threads that are pinned to nothing, so that there may be any number of CPUs; where they asked to be."""
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: asked.append(tuple(cpus)))
    return asked


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that take microseconds, where a test needs many threads."""
    monkeypatch.setattr(canary, "MATRIX", 8)
    monkeypatch.setattr(canary, "HASHED_BYTES", 2**8)


def positive(found: Canary) -> bool:
    return set(found.parts) == set(PARTS) and all(math.isfinite(rate) and rate > 0 for rate in found.parts.values())


def test_one_core(threads: dict[int, canary._Thread]) -> None:
    found = canary.sense(threads, [CPU], 0.03)
    assert found.cores == 1
    assert positive(found)


def test_it_is_pinned_and_this_thread_is_not(threads: dict[int, canary._Thread]) -> None:
    before = os.sched_getaffinity(0)
    tasks = set(os.listdir("/proc/self/task"))
    canary.sense(threads, [CPU], 0.003)
    (new,) = set(os.listdir("/proc/self/task")) - tasks
    assert os.sched_getaffinity(int(new)) == {CPU}
    assert os.sched_getaffinity(0) == before


def test_its_threads_are_kept(threads: dict[int, canary._Thread]) -> None:
    canary.sense(threads, [CPU], 0.003)
    kept = threads[CPU]
    count = threading.active_count()
    assert positive(canary.sense(threads, [CPU], 0.003))
    assert threads == {CPU: kept}
    assert threading.active_count() == count


def test_256_cores_in_one_process(
    threads: dict[int, canary._Thread], anywhere: list[tuple[int, ...]], small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "ALL_COPIED_BYTES", 2**20)
    found = canary.sense(threads, range(256), 0.03)
    assert found.cores == 256
    assert positive(found)
    assert sorted(anywhere) == [(cpu,) for cpu in range(256)]
    # and a few of them again
    assert canary.sense(threads, range(7, 9), 0.003).cores == 2
    assert len(threads) == 256


@pytest.mark.parametrize(("cores", "each"), [(1, 2**24), (32, 2**24), (65, 2**30 // 130), (256, 2**21)])
def test_the_memory_that_is_copied_is_bounded(
    monkeypatch: pytest.MonkeyPatch, threads: dict[int, canary._Thread], cores: int, each: int
) -> None:
    copied: list[int] = []

    class Quick:
        def __init__(self, cpu: int, copied_bytes: int) -> None:
            copied.append(copied_bytes)

        def ask(self, start: float, slot_s: float) -> None: ...

        def answer(self) -> list[float]:
            return [1.0, 1.0, 1.0]

    monkeypatch.setattr(canary, "_Thread", Quick)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    canary.sense(threads, range(1), 0.1)  # by the machine, not by how many are asked
    assert copied == [each]
    assert sum(copied) <= canary.ALL_COPIED_BYTES


def test_rates_are_a_geometric_mean(monkeypatch: pytest.MonkeyPatch, threads: dict[int, canary._Thread]) -> None:
    class Quick:
        def __init__(self, cpu: int, copied_bytes: int) -> None:
            self.cpu = cpu

        def ask(self, start: float, slot_s: float) -> None:
            assert slot_s == pytest.approx(0.1)

        def answer(self) -> list[float]:
            return [1.0 + 3 * self.cpu, 2.0, 5.0]

    monkeypatch.setattr(canary, "_Thread", Quick)
    found = canary.sense(threads, [0, 1], 0.3)
    assert found.parts == pytest.approx({"compute": 2.0, "memory": 2.0, "scalar": 5.0})


# ----------------------------------------------------------------------------------------------------------- clocks


def stepping(step_s: float) -> Callable[[], float]:
    return lambda: math.floor(time.monotonic() / step_s) * step_s


def test_a_coarse_clock(monkeypatch: pytest.MonkeyPatch, threads: dict[int, canary._Thread], small: None) -> None:
    monkeypatch.setattr(canary, "clock", stepping(0.015))
    for seconds in (0.001, 0.03, 0.09):
        assert positive(canary.sense(threads, [CPU], seconds))


class Clock:
    """A clock that moves by a step at every so many readings."""

    def __init__(self, step_s: float, readings: int = 1) -> None:
        self.step_s = step_s
        self.readings = readings
        self.read = itertools.count()

    def __call__(self) -> float:
        return next(self.read) // self.readings * self.step_s


@pytest.mark.parametrize("start", [-1.0, 0.0])
def test_a_slot_that_is_over_before_it_began_has_a_rate(monkeypatch: pytest.MonkeyPatch, start: float) -> None:
    monkeypatch.setattr(canary, "clock", Clock(0.015, readings=8))
    done = []
    rate = canary._rate(lambda: done.append(1), start, 1e-6)
    assert rate == (len(done) - 1) / 0.015


def test_a_rate_is_what_fits_into_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "clock", Clock(0.5))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    done = []
    # read at 0.0, then after the first, which does not count, and after every further one
    assert canary._rate(lambda: done.append(1), 0.0, 3.0) == 2.0
    assert len(done) == 1 + 5


def test_an_operation_longer_than_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "clock", Clock(10.0))
    assert canary._rate(lambda: None, 0.0, 0.03) == 0.1


# --------------------------------------------------------------------------------------------------------- failures


def test_a_cpu_that_does_not_exist(threads: dict[int, canary._Thread]) -> None:
    with pytest.raises(OSError, match="the canary cannot be pinned to CPU 4000: Invalid argument") as caught:
        canary.sense(threads, [CPU, 4000], 0.003)
    assert caught.value.errno == errno.EINVAL


# ---------------------------------------------------------------------------------------------------------- serving


@contextlib.contextmanager
def served(*commands: Sense | Finish) -> Iterator[list[Reply]]:
    """The canary's answers to commands, after which its coordinator is gone."""
    read, write = os.pipe()
    replies, answers = os.pipe()
    os.write(write, b"".join(msgspec.json.encode(command) + b"\n" for command in commands))
    os.close(write)
    channel = Channel(read, answers)
    canary.run(channel)
    channel._commands.close()
    channel._replies.close()
    with os.fdopen(replies, "rb") as file:
        yield [msgspec.json.decode(line, type=Reply) for line in file]


@pytest.mark.parametrize("end", [(), (Finish(),)])
def test_it_answers_until_it_is_told_to_end(end: tuple[Finish, ...]) -> None:
    with served(*[Sense(cpus=(CPU,), seconds=0.003)] * 2, *end) as replies:
        assert len(replies) == 2
        for reply in replies:
            assert isinstance(reply, Sensed)
            assert positive(reply.canary)
