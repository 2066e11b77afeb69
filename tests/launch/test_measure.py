from __future__ import annotations

import time

import pytest

from autotune.launch import measure
from autotune.launch.measure import Measurement
from autotune.launch.process import WorkerFailed
from autotune.protocol import Command, Measure, Measured, Ready, Reply
from autotune.results import Block, Fidelity, Status
from autotune.types import MeasureRules

RULES = MeasureRules(block_s=1.0, warmup_s=5.0, measure_s=6.0, min_blocks=3)
FIDELITY = Fidelity(judged=True, samples=8, cosine_similarity=1.0, centred_error=0.0, max_abs_error=0.0)
BATCH = 4


class Scripted:
    """Workers that answer at once: for each block the items of every worker, the last block for ever."""

    def __init__(self, *blocks: float | tuple[float, ...]) -> None:
        self.script = [block if isinstance(block, tuple) else (block,) for block in blocks]
        self.commands: list[Measure] = []
        self.sent_ns: list[int] = []
        self.timeouts_s: list[float] = []

    def send(self, command: Command) -> None:
        assert isinstance(command, Measure)
        self.commands.append(command)
        self.sent_ns.append(time.monotonic_ns())

    def gather(self, timeout_s: float, doing: str) -> list[Reply]:
        assert doing == "measuring a block"
        self.timeouts_s.append(timeout_s)
        shares = self.script[min(len(self.timeouts_s), len(self.script)) - 1]
        return [Measured(items=items, calls=int(items // BATCH), cpu_ns=10 + rank) for rank, items in enumerate(shares)]


def ready(*warm_calls_s: float) -> list[Ready]:
    return [
        Ready(load_s=0.1, first_call_s=1.0, warm_call_s=seconds, fidelity=FIDELITY, versions={})
        for seconds in warm_calls_s
    ]


def measured(
    workers: Scripted,
    rules: MeasureRules = RULES,
    incumbent: float | None = None,
    calls_s: tuple[float, ...] = (0.01,),
) -> Measurement:
    return measure.measure(workers, ready(*calls_s), BATCH, rules, incumbent, lambda blocks: None)


def rates(blocks: tuple[Block, ...]) -> list[float]:
    return [round(block.rate, 6) for block in blocks]


# ---------------------------------------------------------------------------------------------------------- warm-up


def test_warm_up_ends_when_the_rate_rises_no_more() -> None:
    found = measured(Scripted(50, 80, 100, 101, 100))
    assert rates(found.warmup) == [50, 80, 100, 101]
    assert rates(found.blocks) == [100, 100, 100]
    assert (found.rejected, found.flags) == (False, ())


def test_a_rate_that_falls_is_not_warming_up() -> None:
    assert rates(measured(Scripted(100, 60)).warmup) == [100, 60]


def test_a_rate_that_never_settles_is_flagged_and_measured() -> None:
    found = measured(Scripted(*(100 * 1.2**i for i in range(8)), 400))
    assert len(found.warmup) == 5  # seconds
    assert found.flags == ("not_steady",)
    assert not found.rejected
    assert found.blocks


def test_warm_up_time_is_a_rule() -> None:
    rules = MeasureRules(block_s=1.0, warmup_s=2.0)
    found = measured(Scripted(*(100 * 1.2**i for i in range(5))), rules)
    assert (len(found.warmup), found.flags) == (2, ("not_steady",))


# -------------------------------------------------------------------------------------------------------- rejection


def test_a_hopeless_first_call_is_given_one_block() -> None:
    workers = Scripted(30, 100)
    found = measured(workers, incumbent=1000.0, calls_s=(0.02,))  # 4 in 0.02 s are 200 a second
    assert found == Measurement(warmup=(), blocks=found.blocks, rejected=True)
    assert rates(found.blocks) == [30]


def test_a_first_call_is_judged_by_all_workers_together() -> None:
    assert not measured(Scripted(900), incumbent=1000.0, calls_s=(0.02, 0.02)).rejected
    assert measured(Scripted(900), incumbent=1300.0, calls_s=(0.02, 0.02)).rejected


def test_rejected_after_warm_up() -> None:
    found = measured(Scripted(20, 30, 30), incumbent=100.0)
    assert found.rejected
    assert (rates(found.warmup), rates(found.blocks)) == ([20], [30, 30])


def test_a_slow_start_alone_does_not_reject() -> None:
    found = measured(Scripted(1, 90, 92), incumbent=100.0)
    assert (found.rejected, rates(found.warmup)) == (False, [1, 90, 92])


def test_rejected_while_measured() -> None:
    found = measured(Scripted(100, 100, 10, 10, 10), incumbent=100.0)
    assert found.rejected
    assert (rates(found.warmup), rates(found.blocks)) == ([100, 100], [10, 10])


def test_without_an_incumbent_nothing_is_rejected() -> None:
    assert not measured(Scripted(0.001), calls_s=(100.0,)).rejected


# ------------------------------------------------------------------------------------------------------- stop rules


def test_equal_blocks_end_at_the_fewest_allowed() -> None:
    assert len(measured(Scripted(100), MeasureRules(min_blocks=5)).blocks) == 5


def test_noise_is_measured_for_longer() -> None:
    noisy = Scripted(100, 100, 60, 140, 70, 130, 65, 135, 60)
    assert len(measured(noisy).blocks) == 6  # all of measure_s


def test_a_narrow_interval_ends_before_the_time() -> None:
    found = measured(Scripted(100, 100, 96, 104, 101, 99, 100, 100))
    assert len(found.blocks) == 4


def test_the_observer_sees_every_block_grow() -> None:
    seen: list[int] = []
    measure.measure(Scripted(100), ready(0.01), BATCH, RULES, None, lambda blocks: seen.append(len(blocks)))
    assert seen == [1, 2, 3]


# ----------------------------------------------------------------------------------------------------------- blocks


def test_a_block_sums_its_workers() -> None:
    block = measure.block(Scripted((40.5, 60.5)), 0.01, RULES)
    assert (block.items, block.calls, block.cpu_ns, block.unit) == (101.0, 25, 21, "sample")
    assert block.elapsed_ns == 10**9
    assert block.rate == pytest.approx(101.0)


def test_workers_run_before_what_counts_begins() -> None:
    workers = Scripted(100)
    block = measure.block(workers, 0.03, RULES)
    (command,) = workers.commands
    assert (command.start_ns, command.stop_ns - command.start_ns) == (block.start_ns, block.elapsed_ns)
    lead_ns = command.start_ns - workers.sent_ns[0]
    assert 0 < lead_ns <= 35_000_000


def test_a_long_call_makes_a_long_block() -> None:
    workers = Scripted(100)
    assert measure.block(workers, 3.5, RULES).elapsed_ns == 3_500_000_000
    assert workers.timeouts_s == [RULES.block_timeout_s + 35.0]


def test_an_empty_block_is_measured_again() -> None:
    workers = Scripted(0, 0, 100)
    assert measure.block(workers, 0.01, RULES).items == 100
    assert len(workers.commands) == 3


def test_only_empty_blocks_are_a_stall() -> None:
    with pytest.raises(WorkerFailed, match="overloaded") as caught:
        measure.block(Scripted(0), 0.01, RULES)
    assert caught.value.status is Status.TIMEOUT


def test_one_worker_that_slept_does_not_empty_a_block() -> None:
    assert measure.block(Scripted((0, 80)), 0.01, RULES).items == 80
