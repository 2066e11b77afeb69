from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.protocol import Serve
from autotune.worker import request_queue
from tests.queueing import Queue, constant

MS = 1_000_000
SERVE = Serve(probe=1, start_ns=5_000 * MS, stop_ns=7_000 * MS, rate=1000.0, queue_delay_ns=0, seed=3)


class Clock:
    """Time that passes only in calls and while waiting."""

    def __init__(self, call_ns: int, start_ns: int = 0) -> None:
        self.time = start_ns
        self.call_ns = call_ns
        self.calls: list[int] = []

    def now(self) -> int:
        return self.time

    def call(self) -> None:
        self.calls.append(self.time)
        self.time += self.call_ns

    def wait(self, instant_ns: int) -> None:
        self.time = max(self.time, instant_ns)


def drained(
    clock: Clock, arrived_ms: list[float], size: int = 1, delay_ms: float = 0, limit_ms: float = 1e6
) -> tuple[list[float], int]:
    """Latencies in milliseconds, and how many were given up."""
    arrived = np.array([int(at * MS) for at in arrived_ms], np.int64)
    found = request_queue.drain(
        clock.call, arrived, size, int(delay_ms * MS), int(limit_ms * MS), clock.now, clock.wait
    )
    return (found[0] / MS).tolist(), found[1]


# -------------------------------------------------------------------------------------------------------- arrivals


def test_arrivals_are_those_of_the_seed_and_the_probe() -> None:
    first = request_queue.arrivals(SERVE)
    np.testing.assert_array_equal(first, request_queue.arrivals(SERVE))
    for other in ({"probe": 2}, {"seed": 4}):
        assert not np.array_equal(first[:20], request_queue.arrivals(msgspec.structs.replace(SERVE, **other))[:20])


def test_arrivals_are_a_poisson_process() -> None:
    long = msgspec.structs.replace(SERVE, stop_ns=SERVE.start_ns + 50_000 * MS)
    arrived = request_queue.arrivals(long)
    gaps = np.diff(arrived) / MS
    assert len(arrived) == pytest.approx(50_000, rel=0.02)
    assert gaps.min() >= 0
    assert long.start_ns <= arrived[0] and arrived[-1] < long.stop_ns
    # exponential: mean and deviation are the same, and the past tells nothing
    assert (gaps.mean(), gaps.std()) == (pytest.approx(1.0, rel=0.02), pytest.approx(1.0, rel=0.03))
    assert (gaps > 2).mean() == pytest.approx(np.exp(-2), rel=0.05)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.02


def test_a_time_may_pass_without_a_request() -> None:
    assert len(request_queue.arrivals(msgspec.structs.replace(SERVE, rate=1e-9))) == 0


# ----------------------------------------------------------------------------------------------------------- drain


@pytest.mark.parametrize(
    ("arrived", "size", "delay", "latencies", "calls"),
    [
        ([0, 20], 1, 0, [10, 10], [0, 20]),  # one at a time, idle in between
        ([0, 1, 2], 1, 0, [10, 19, 28], [0, 10, 20]),  # each waits for the one before
        ([0, 1, 2], 4, 0, [10, 19, 18], [0, 10]),  # who came during a call shares the next
        ([0, 1, 2, 3], 4, 5, [13, 12, 11, 10], [3]),  # a full batch waits no longer
        ([0, 1, 2], 4, 5, [15, 14, 13], [5]),  # one that does not fill waits its delay
        ([0, 6], 4, 5, [15, 19], [5, 15]),  # the next had waited its own by then
        ([0, 12], 4, 5, [15, 15], [5, 17]),
        ([0, 0, 0, 0, 0], 2, 0, [10, 10, 20, 20, 30], [0, 10, 20]),  # no batch takes more than its size
        ([7], 1, 0, [10], [7]),
        ([], 1, 0, [], []),
    ],
)
def test_a_batch_begins_when_it_is_full_or_has_waited(
    arrived: list[float], size: int, delay: float, latencies: list[float], calls: list[float]
) -> None:
    clock = Clock(10 * MS)
    assert drained(clock, arrived, size, delay) == (latencies, 0)
    assert [at / MS for at in clock.calls] == calls


def test_who_waits_too_long_is_given_up() -> None:
    clock = Clock(10 * MS)
    latencies, unanswered = drained(clock, [0, 1, 2, 3], limit_ms=15)
    assert unanswered == 2
    # the others have waited until then
    assert latencies == [10, 19, 18, 17]


def test_nobody_waits_for_a_batch_beyond_the_limit() -> None:
    clock = Clock(10 * MS)
    assert drained(clock, [0], size=4, delay_ms=50, limit_ms=20) == ([20], 1)
    assert clock.calls == []


def test_a_worker_that_comes_late_owes_the_time() -> None:
    assert drained(Clock(10 * MS, start_ns=100 * MS), [0, 1], size=4) == ([110, 109], 0)


@given(
    st.lists(st.integers(0, 500), max_size=60),
    st.integers(1, 8),
    st.integers(0, 30),
    st.integers(1, 40),
)
def test_it_is_the_simulated_queue(arrived: list[int], size: int, delay_ms: int, call_ms: int) -> None:
    arrived.sort()
    queue = Queue(constant(call_ms), size, 1, delay_ms)  # in whole numbers, whatever their unit
    expected = queue.worker(arrived, np.random.default_rng(0))
    latencies, _ = drained(Clock(call_ms * MS), list(map(float, arrived)), size, delay_ms)
    assert latencies == [units / 1e9 for units in expected]


# ------------------------------------------------------------------------------------------------------------ wait


@pytest.mark.parametrize("ahead_ns", [-MS, 0, 50_000, 3 * MS])
def test_waiting_never_ends_before_the_instant(ahead_ns: int) -> None:
    for _ in range(20):
        instant = time.monotonic_ns() + ahead_ns
        request_queue.wait_until(instant)
        assert time.monotonic_ns() >= instant


def test_waiting_is_sleep() -> None:
    used = time.thread_time_ns()
    request_queue.wait_until(time.monotonic_ns() + 100 * MS)
    assert time.thread_time_ns() - used < 50 * MS


# ---------------------------------------------------------------------------------------------------------- answer


class Session:
    """Counts its calls, each a millisecond."""

    def __init__(self) -> None:
        self.batches: list[Any] = []

    def __call__(self, batch: Any) -> Any:
        self.batches.append(batch)
        time.sleep(0.001)

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        raise AssertionError("the batch is there already")

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        raise AssertionError("nobody looks at the answers")

    def close(self) -> None: ...


def soon(**changes: Any) -> Serve:
    start_ns = time.monotonic_ns() + 20 * MS
    command = Serve(probe=0, start_ns=start_ns, stop_ns=start_ns + 200 * MS, rate=200.0, queue_delay_ns=0, seed=0)
    return msgspec.structs.replace(command, **changes)


def test_two_workers_share_all_requests() -> None:
    command = soon()
    shares = [request_queue.answer(Session(), "batch", 4, command, rank, 2) for rank in range(2)]
    total = len(request_queue.arrivals(command))
    assert total > 10
    assert [len(share.latencies_ns) for share in shares] == [(total + 1) // 2, total // 2]
    assert shares[0].unanswered == 0
    assert min(shares[0].latencies_ns) >= 1 * MS


def test_the_prepared_batch_is_used_and_called_once_before_the_start() -> None:
    session = Session()
    command = soon()
    share = request_queue.answer(session, "batch", 1, command, 0, 1)
    assert session.batches == ["batch"] * (len(share.latencies_ns) + 1)


def test_a_batch_takes_several_requests() -> None:
    session = Session()
    share = request_queue.answer(session, "batch", 8, soon(queue_delay_ns=50 * MS), 0, 1)
    assert len(session.batches) - 1 <= len(share.latencies_ns) / 2


def test_a_worker_that_wakes_after_all_is_over_gives_up() -> None:
    session = Session()
    past = soon(start_ns=0, stop_ns=200 * MS)
    share = request_queue.answer(session, "batch", 1, past, 0, 1)
    assert share.unanswered == len(share.latencies_ns) > 10
    assert session.batches == []
