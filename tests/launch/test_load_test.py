from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from autotune.analysis.rate_probe import ProbeSpec
from autotune.core.protocol import Answered, Command, Reply, Serve
from autotune.core.results import Block
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import ServingSpec
from autotune.launch import load_test
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor
from tests.launch.scripted import SpeedSensor
from tests.queueing import Queue, constant

MS = 1_000_000
RULES = MeasureRules()
WANTED = ServingSpec(latency_ms=40, queue_delay_ms=3)
ASK = ProbeSpec(rate=100, seconds=2)


class Serving:
    """Workers that answer at once what a simulated queue makes of the requests; `story` says what was done."""

    def __init__(self, queue: Queue, unanswered: int = 0) -> None:
        self.queue = queue
        self.unanswered = unanswered
        self.commands: list[Serve] = []
        self.sent_ns: list[int] = []
        self.timeouts_s: list[float] = []
        self.story: list[str] = []

    def __len__(self) -> int:
        return self.queue.workers

    def send(self, command: Command) -> None:
        assert isinstance(command, Serve)
        self.commands.append(command)
        self.sent_ns.append(time.monotonic_ns())
        self.story.append("send")

    def gather(self, timeout_s: float, doing: str) -> list[Reply]:
        assert doing == "serving requests"
        self.timeouts_s.append(timeout_s)
        command = self.commands[-1]
        window_s = (command.stop_ns - command.start_ns) / 1e9
        shares = self.queue.serve(command.rate, window_s, command.probe + 1)
        return [Answered(latencies_ns=tuple(share), unanswered=self.unanswered) for share in shares]

    def pause(self) -> None:
        self.story.append("pause")


def bench(workers: Serving, call_s: float | None = None) -> BlockRunner:
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root=Path("/nowhere"))
    return BlockRunner(workers, workers.queue.size, monitor, RULES, call_s=call_s)  # type: ignore[arg-type]


def block(rate: float) -> Block:
    return Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=9, cpu_ns=1)


# --------------------------------------------------------------------------------------------------------- a probe


def test_a_probe_tells_the_workers_what_arrives() -> None:
    workers = Serving(Queue(constant(0.01), workers=2))
    answers = load_test.send_requests(bench(workers, call_s=0.01), ASK, WANTED, seed=5, number=7)
    (command,) = workers.commands
    assert (command.probe, command.seed, command.rate, command.queue_delay_ns) == (7, 5, 100, 3 * MS)
    assert command.stop_ns - command.start_ns == 2 * 10**9
    assert len(answers) == 2
    assert workers.story == ["send", "pause"]


@pytest.mark.parametrize(("call_s", "lead_s"), [(None, 0.005), (0.04, 0.085), (1.0, 2.005)])
def test_before_the_first_request_there_is_time_for_a_call(call_s: float | None, lead_s: float) -> None:
    workers = Serving(Queue(constant(0.01)))
    load_test.send_requests(bench(workers, call_s), ASK, WANTED, seed=0, number=0)
    assert lead_s - 0.005 < (workers.commands[0].start_ns - workers.sent_ns[0]) / 1e9 <= lead_s


def test_workers_may_take_the_time_again_and_their_last_call() -> None:
    workers = Serving(Queue(constant(0.01)))
    load_test.send_requests(bench(workers, 3.0), ASK, WANTED, seed=0, number=0)
    assert workers.timeouts_s == [2 * ASK.seconds + RULES.block_timeout_s + 30]


# -------------------------------------------------------------------------------------------------- the largest rate


def test_the_largest_rate_is_searched_for_below_the_fastest_block() -> None:
    workers = Serving(Queue(constant(0.01), workers=2))
    found = load_test.find_largest_rate(bench(workers), [block(190), block(200)], WANTED, seed=0)
    assert 100 < found.rate < 200
    kept = [probe for probe in found.probes if probe.kept and probe.seconds == RULES.probe_most_s]
    assert found.rate in [probe.rate for probe in kept]
    assert all(probe.rate <= 200 for probe in found.probes)
    assert [command.rate for command in workers.commands] == [probe.rate for probe in found.probes]
    assert workers.story == ["send", "pause"] * len(found.probes)


def test_every_probe_draws_its_own_requests() -> None:
    workers = Serving(Queue(constant(0.01)))
    load_test.find_largest_rate(bench(workers), [block(100)], WANTED, seed=4)
    assert [command.probe for command in workers.commands] == list(range(len(workers.commands)))
    assert {command.seed for command in workers.commands} == {4}


def test_all_workers_latencies_count() -> None:
    queue = Queue(constant(0.01), workers=3)
    found = load_test.find_largest_rate(bench(Serving(queue)), [block(300)], WANTED, seed=0)
    for number, probe in enumerate(found.probes):
        latencies = queue.serve(probe.rate, probe.seconds, number + 1)
        assert probe.requests == sum(map(len, latencies))
        assert probe.over == sum(ns > 40 * MS for ns in itertools.chain(*latencies))


def test_a_limit_that_no_rate_keeps() -> None:
    found = load_test.find_largest_rate(bench(Serving(Queue(constant(0.05)))), [block(20)], WANTED, seed=0)
    assert found.rate == 0
    assert found.probes and not any(probe.kept for probe in found.probes)


def test_workers_that_give_requests_up_keep_nothing() -> None:
    found = load_test.find_largest_rate(
        bench(Serving(Queue(constant(0.01)), unanswered=1)), [block(100)], WANTED, seed=0
    )
    assert found.rate == 0
    assert np.isfinite([probe.latency_ms for probe in found.probes]).all()
