from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.answers import Fidelity
from autotune.core.interfaces import Call
from autotune.core.protocol import ROWS, Answered, Command, Finish, Finished, Measure, Measured, Reply, Rows, Serve
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.space import configs
from autotune.worker import loop, request_queue
from autotune.worker.channel import Channel
from tests.study import fakes

MS = 1_000_000


@st.composite
def calls_and_windows(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Instants between which calls ran, and the edges of adjacent windows that hold all of them."""
    durations = draw(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
    ticks = list(itertools.accumulate(durations, initial=draw(st.integers(0, 10**12))))
    inner = draw(st.lists(st.integers(ticks[0], ticks[-1]), max_size=8))
    return ticks, sorted({ticks[0], *inner, ticks[-1]})


def calls(ticks: list[int]) -> list[Call]:
    return [Call(begin, end) for begin, end in itertools.pairwise(ticks)]


# ------------------------------------------------------------------------------------------------------------ count


@given(calls_and_windows())
def test_adjacent_windows_count_every_call_once(given: tuple[list[int], list[int]]) -> None:
    ticks, edges = given
    counted = [loop.count(calls(ticks), start, stop) for start, stop in itertools.pairwise(edges)]
    assert sum(done for done, _ in counted) == pytest.approx(len(ticks) - 1)
    latencies = [latency for _, latencies in counted for latency in latencies]
    assert latencies == [end - begin for begin, end in itertools.pairwise(ticks)]


@given(calls_and_windows(), st.integers(0, 10**12), st.integers(1, 10**9))
def test_a_window_never_counts_more_than_ran(given: tuple[list[int], list[int]], start: int, length: int) -> None:
    ticks, _ = given
    done, latencies = loop.count(calls(ticks), start, start + length)
    assert 0 <= done <= len(ticks) - 1
    # the first and the last may count in part and have a latency or none
    assert len(latencies) - 1 <= done + 1e-9
    assert done <= len(latencies) + 1 + 1e-9


@pytest.mark.parametrize(
    ("ticks", "done", "latencies"),
    [
        ([100, 150, 200], 2.0, [50, 50]),  # just inside
        ([80, 120, 200], 1.5, [40, 80]),  # the first began before
        ([20, 120, 200], 1.2, [80]),  # its greater part was before
        ([100, 160, 210], 1.8, [60, 50]),  # the last ended after
        ([100, 180, 220], 1.5, [80]),  # its middle was after
        ([50, 250], 0.5, [200]),  # one call longer than the window
        ([50, 1050], 0.1, []),  # of which little lies inside
        ([0, 50, 100], 0.0, []),  # all before
        ([200, 300], 0.0, []),  # all after
        ([150], 0.0, []),  # none at all
        ([], 0.0, []),
    ],
)
def test_calls_that_straddle_an_edge_count_in_part(ticks: list[int], done: float, latencies: list[int]) -> None:
    assert loop.count(calls(ticks), 100, 200) == (done, latencies)


def test_calls_in_flight_count_side_by_side() -> None:
    assert loop.count([Call(100, 200), Call(150, 250)], 100, 200) == (1.5, [100])


def test_a_call_may_do_many_batches_with_latencies_of_their_own() -> None:
    assert loop.count([Call(50, 250, 10.0, (3, 4))], 100, 200) == (5.0, [3, 4])
    assert loop.count([Call(50, 250, 10.0, ())], 100, 200) == (5.0, [])


# ---------------------------------------------------------------------------------------------------------- measure


class Sleeper:
    """A session of calls of a known length."""

    def __init__(self, call_s: float = 0.002) -> None:
        self.call_s = call_s
        self.calls = 0

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        return arrays

    def __call__(self, batch: Any) -> Any:
        self.calls += 1
        time.sleep(self.call_s)

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        raise AssertionError("not while measured")

    def close(self) -> None: ...


def window(lead_s: float, length_s: float) -> Measure:
    start_ns = time.monotonic_ns() + int(lead_s * 1e9)
    return Measure(block=0, start_ns=start_ns, stop_ns=start_ns + int(length_s * 1e9))


def test_a_share_is_what_lies_in_the_window() -> None:
    session = Sleeper()
    share, latencies = loop.measure(session, None, 4, window(0.01, 0.1))
    assert share.calls == len(latencies) < session.calls
    assert share.items / 4 == pytest.approx(share.calls, abs=1)
    # as many as fit at the pace that the calls themselves had
    assert share.items / 4 == pytest.approx(0.1 * 1e9 / np.mean(latencies), rel=0.25)
    assert min(latencies) >= 2 * MS


def test_a_share_tells_the_growth_of_memory_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Sleeper()
    monkeypatch.setattr(loop.process_info, "rss_bytes", lambda: 1000 + 4096 * session.calls)
    share, _ = loop.measure(session, None, 4, window(0.01, 0.02))
    assert share.growth_bytes == 4096 - loop.KEPT_BYTES


def test_what_is_kept_of_calls_here_is_no_growth() -> None:
    """Of a model that keeps nothing, called very often; the first blocks fill what later ones use again."""
    for _ in range(5):
        share, _ = loop.measure(lambda batch: None, None, 1, window(0.0, 0.1))
        assert share.growth_bytes is not None and share.growth_bytes < 0


def test_the_model_runs_before_the_window() -> None:
    session = Sleeper()
    share, _ = loop.measure(session, None, 1, window(0.05, 0.002))
    assert session.calls >= share.calls + 5


def test_a_worker_that_wakes_too_late_counts_nothing() -> None:
    session = Sleeper()
    share, latencies = loop.measure(session, None, 1, window(-1.0, 0.5))
    assert (share, latencies, session.calls) == (Measured(items=0, calls=0, cpu_ns=0), [], 0)


def test_a_call_longer_than_the_window_counts_in_part() -> None:
    session = Sleeper(0.2)
    share, latencies = loop.measure(session, None, 8, window(0.05, 0.1))
    assert (session.calls, share.calls, len(latencies)) == (1, 1, 1)
    assert latencies[0] >= 200 * MS
    assert 1 < share.items <= 8 * 0.5


def test_time_asleep_is_no_processor_time() -> None:
    share, _ = loop.measure(Sleeper(), None, 1, window(0.0, 0.1))
    assert share.cpu_ns < 50 * MS


def test_time_at_work_is_processor_time() -> None:
    class Busy(Sleeper):
        def __call__(self, batch: Any) -> Any:
            end = time.process_time_ns() + 2 * MS
            while time.process_time_ns() < end:
                pass

    share, latencies = loop.measure(Busy(), None, 1, window(0.1, 0.2))
    # what was used before the window is not part of the share
    assert share.cpu_ns == pytest.approx(share.items * 2 * MS, rel=0.3)
    assert share.calls == len(latencies)


# ------------------------------------------------------------------------------------------------------------ serve


class Coordinator:
    """The other ends of a channel's pipes."""

    def __init__(self) -> None:
        commands, self._commands = os.pipe()
        replies, worker_replies = os.pipe()
        self.channel = Channel(commands, worker_replies)
        self._replies = os.fdopen(replies, "rb")

    def send(self, *commands: Command) -> None:
        for command in commands:
            os.write(self._commands, msgspec.json.encode(command) + b"\n")
        os.close(self._commands)

    def replies(self) -> list[Reply]:
        self.close_worker()
        return [msgspec.json.decode(line, type=Reply) for line in self._replies]

    def close_worker(self) -> None:
        self.channel._replies.close()
        self.channel._commands.close()

    def close(self) -> None:
        self.close_worker()
        self._replies.close()


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    coordinator = Coordinator()
    yield coordinator
    coordinator.close()


def test_serve_answers_blocks_and_saves_latencies(coordinator: Coordinator, tmp_path: Path) -> None:
    late = Measure(block=0, start_ns=0, stop_ns=1)  # long past: a block without calls
    again = msgspec.structs.replace(window(0.1, 0.03), block=2)
    coordinator.send(window(0, 0.03), late, again, Finish())
    loop.serve(Sleeper(), None, 2, coordinator.channel, tmp_path / "latencies-0.npy")
    first, second, third, last = coordinator.replies()
    assert isinstance(first, Measured) and first.calls > 0
    assert second == Measured(items=0, calls=0, cpu_ns=0)
    assert isinstance(third, Measured) and third.calls > 0
    assert isinstance(last, Finished) and last.peak_rss_bytes > 0
    saved = np.load(tmp_path / "latencies-0.npy", allow_pickle=False)
    assert saved[:, 0].tolist() == [0] * first.calls + [2] * third.calls


def test_serve_answers_requests_between_blocks_and_saves_none_of_them(coordinator: Coordinator, tmp_path: Path) -> None:
    start_ns = time.monotonic_ns() + 10 * MS
    requests = Serve(probe=0, start_ns=start_ns, stop_ns=start_ns + 100 * MS, rate=200.0, queue_delay_ns=5 * MS, seed=0)
    block = msgspec.structs.replace(window(0.3, 0.03), block=1)
    coordinator.send(requests, block, Finish())
    loop.serve(Sleeper(), None, 4, coordinator.channel, tmp_path / "latencies-1.npy", 1, 2)
    answered, measured, last = coordinator.replies()
    assert isinstance(answered, Answered) and isinstance(measured, Measured) and isinstance(last, Finished)
    assert len(answered.latencies_ns) == len(request_queue.arrivals(requests)) // 2
    assert set(np.load(tmp_path / "latencies-1.npy", allow_pickle=False)[:, 0]) == {1}


def test_serve_without_a_block_saves_no_rows(coordinator: Coordinator, tmp_path: Path) -> None:
    coordinator.send(Finish())
    loop.serve(Sleeper(), None, 2, coordinator.channel, tmp_path / "latencies-0.npy")
    assert np.load(tmp_path / "latencies-0.npy", allow_pickle=False).shape == (0, 3)


def test_serve_ends_when_the_coordinator_is_gone(coordinator: Coordinator, tmp_path: Path) -> None:
    coordinator.send()
    loop.serve(Sleeper(), None, 2, coordinator.channel, tmp_path / "latencies-0.npy")
    assert coordinator.replies() == []
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------- judgement


@pytest.mark.parametrize(
    ("backend", "allow", "different", "reason"),
    [
        ("torch_eager", (), 0, None),
        ("torch_int8", ("generated_calibration",), 0, "int8 was calibrated and compared on generated inputs"),
        ("torch_int8", (), 0, "int8 was calibrated and compared on generated inputs"),  # a study that began earlier
    ],
)
def test_int8_on_made_up_inputs_is_not_judged(
    tmp_path: Path, backend: str, allow: tuple[Any, ...], different: int, reason: str | None
) -> None:
    model = WorkloadSpec(model="python:net.py:build", inputs=(InputSpec(shape=("batch", 3)),), allow=allow)
    found = unjudged(tmp_path, backend, model, different)
    assert (found.judged, found.reason) == (reason is None, reason)


@pytest.mark.parametrize(("different", "on"), [(8, None), (7, "7 different rows"), (1, "one example row")])
def test_int8_on_few_real_rows_is_not_judged(tmp_path: Path, different: int, on: str | None) -> None:
    found = unjudged(tmp_path, "torch_int8", WorkloadSpec(model="python:net.py:build", inputs=()), different)
    assert found.reason == (None if on is None else f"int8 was calibrated and compared on {on}")


def unjudged(folder: Path, backend: str, workload: WorkloadSpec, different: int) -> Fidelity:
    (folder / ROWS).write_bytes(msgspec.json.encode(Rows(different=different)))
    config = configs.configure(fakes.machine(), batch_size=1, backend=backend)
    spec = TrialSpec(id=0, workload=workload, config=config, folder="trials/00000")
    close = Fidelity(judged=True, samples=8, cosine_similarity=1.0, centred_error=0.001, max_abs_error=0.0)
    return loop.without_judgement(close, spec, folder)
