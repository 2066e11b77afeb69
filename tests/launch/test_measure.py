from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.launch import measure
from autotune.launch.measure import Measurement
from autotune.launch.process import WorkerFailed
from autotune.protocol import Command, Measure, Measured, Reply
from autotune.results import Block, Status
from autotune.rules import MeasureRules

RULES = MeasureRules(block_s=1.0, warmup_s=5.0, measure_s=6.0, min_blocks=3)
BATCH = 4


class Scripted:
    """Workers that answer at once: for each block the rate of every worker (samples/s), the last block for ever."""

    def __init__(self, *blocks: float | tuple[float, ...]) -> None:
        self.script = [block if isinstance(block, tuple) else (block,) for block in blocks]
        self.commands: list[Measure] = []
        self.sent_ns: list[int] = []
        self.timeouts_s: list[float] = []

    def __len__(self) -> int:
        return len(self.script[0])

    def send(self, command: Command) -> None:
        assert isinstance(command, Measure)
        self.commands.append(command)
        self.sent_ns.append(time.monotonic_ns())

    def gather(self, timeout_s: float, doing: str) -> list[Reply]:
        assert doing == "measuring a block"
        self.timeouts_s.append(timeout_s)
        rates = self.script[min(len(self.timeouts_s), len(self.script)) - 1]
        window_s = (self.commands[-1].stop_ns - self.commands[-1].start_ns) / 1e9
        shares = [rate * window_s for rate in rates]
        return [Measured(items=items, calls=int(items // BATCH), cpu_ns=10 + rank) for rank, items in enumerate(shares)]


def measured(workers: Scripted, rules: MeasureRules = RULES, incumbent: float | None = None) -> Measurement:
    return measure.measure(workers, BATCH, rules, incumbent, lambda blocks: None)


def rates(blocks: tuple[Block, ...]) -> list[float]:
    return [round(block.rate, 4) for block in blocks]


# ---------------------------------------------------------------------------------------------------------- warm-up


def test_warm_up_ends_when_the_rate_rises_no_more() -> None:
    found = measured(Scripted(500, 800, 1000, 1010, 1000))
    assert rates(found.warmup) == [500, 800, 1000, 1010]
    assert rates(found.blocks) == [1000, 1000, 1000]
    assert (found.rejected, found.flags) == (False, ())


def test_a_rate_that_falls_is_not_warming_up() -> None:
    assert rates(measured(Scripted(1000, 600)).warmup) == [1000, 600]


def test_a_rate_that_never_settles_is_flagged_and_measured() -> None:
    found = measured(Scripted(*(1000 * 1.2**i for i in range(8)), 4000))
    assert len(found.warmup) == 5  # seconds
    assert found.flags == ("not_steady",)
    assert not found.rejected
    assert found.blocks


def test_warm_up_time_is_a_rule() -> None:
    rules = MeasureRules(block_s=1.0, warmup_s=2.0)
    found = measured(Scripted(*(1000 * 1.2**i for i in range(5))), rules)
    assert (len(found.warmup), found.flags) == (2, ("not_steady",))


# -------------------------------------------------------------------------------------------------------- rejection


def test_a_hopeless_first_block_is_the_only_one() -> None:
    workers = Scripted(300, 1000)
    found = measured(workers, incumbent=1000.0)
    assert found == Measurement(warmup=(), blocks=found.blocks, rejected=True)
    assert rates(found.blocks) == [300]
    assert len(workers.commands) == 1


def test_the_first_block_is_judged_by_all_workers_together() -> None:
    assert not measured(Scripted((200, 200)), incumbent=1000.0, rules=MeasureRules(reject_blocks=0)).rejected
    assert measured(Scripted((150, 150)), incumbent=1000.0, rules=MeasureRules(reject_blocks=0)).rejected


def test_rejected_after_warm_up() -> None:
    found = measured(Scripted(400, 450, 460), incumbent=1000.0)
    assert found.rejected
    assert (rates(found.warmup), rates(found.blocks)) == ([400], [450, 460])


def test_a_slow_start_alone_does_not_reject() -> None:
    found = measured(Scripted(400, 900, 920), incumbent=1000.0)
    assert (found.rejected, rates(found.warmup)) == (False, [400, 900, 920])


def test_rejected_while_measured() -> None:
    found = measured(Scripted(1000, 1000, 100), incumbent=1000.0)
    assert found.rejected
    assert (rates(found.warmup), rates(found.blocks)) == ([1000, 1000], [100, 100])


def test_without_an_incumbent_nothing_is_rejected() -> None:
    assert not measured(Scripted(0.001)).rejected


# ------------------------------------------------------------------------------------------------------- stop rules


def test_equal_blocks_end_at_the_fewest_allowed() -> None:
    assert len(measured(Scripted(1000), MeasureRules(min_blocks=5)).blocks) == 5


def test_noise_is_measured_for_longer() -> None:
    noisy = Scripted(1000, 1000, 600, 1400, 700, 1300, 650, 1350, 600)
    assert len(measured(noisy).blocks) == 6  # all of measure_s


def test_a_narrow_interval_ends_before_the_time() -> None:
    found = measured(Scripted(1000, 1000, 960, 1040, 1010, 990, 1000, 1000))
    assert len(found.blocks) == 4


def test_the_observer_sees_every_block_grow() -> None:
    seen: list[int] = []
    measure.measure(Scripted(1000), BATCH, RULES, None, lambda blocks: seen.append(len(blocks)))
    assert seen == [1, 2, 3]


# ----------------------------------------------------------------------------------------------------------- blocks


def a_block(workers: Scripted, previous: Block | None = None) -> Block:
    return measure.block(workers, BATCH, [] if previous is None else [previous], RULES)


def earlier(rate: float) -> Block:
    return Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=0)


def test_a_block_sums_its_workers() -> None:
    block = a_block(Scripted((40.5, 60.5)))
    assert (block.items, block.calls, block.cpu_ns, block.unit) == (pytest.approx(101), 25, 21, "sample")
    assert block.elapsed_ns == 10**9
    assert block.rate == pytest.approx(101)


def test_a_block_is_what_the_workers_were_told_to_count() -> None:
    workers = Scripted(1000)
    block = a_block(workers)
    (command,) = workers.commands
    assert (command.start_ns, command.stop_ns - command.start_ns) == (block.start_ns, block.elapsed_ns)


@pytest.mark.parametrize(
    ("rate", "lead_s"),
    [
        (None, 0.005),  # nothing is known yet
        (100.0, 0.045),  # a call of 40 ms is made first
        (8.0, 0.005),  # one of half a second is not
    ],
)
def test_short_calls_run_before_what_counts_begins(rate: float | None, lead_s: float) -> None:
    workers = Scripted(1000)
    a_block(workers, None if rate is None else earlier(rate))
    lead_ns = workers.commands[0].start_ns - workers.sent_ns[0]
    assert lead_s - 0.005 < lead_ns / 1e9 <= lead_s


def test_the_call_is_that_of_one_worker() -> None:
    # 160 samples a second by two workers: each makes a call of 4 in 50 ms
    workers = Scripted((80, 80))
    a_block(workers, earlier(160))
    assert (workers.commands[0].start_ns - workers.sent_ns[0]) / 1e9 > 0.04


def test_a_long_call_makes_a_long_block() -> None:
    workers = Scripted(1)
    block = a_block(workers, earlier(1.0))  # a call of 4 s
    assert block.elapsed_ns == int(0.97 * 4e9)
    assert workers.timeouts_s == [RULES.block_timeout_s + 40]


@given(st.floats(0.0501, 100))
def test_a_window_holds_whole_calls_but_for_the_edge(call_s: float) -> None:
    window_s = measure.window_s(call_s, RULES)
    whole = round(window_s / call_s + 0.03, 6)
    assert whole == int(whole) >= 1
    assert window_s >= RULES.block_s - 0.03 * call_s
    assert window_s <= RULES.block_s / 0.97 + call_s


@pytest.mark.parametrize("call_s", [None, 0.0001, 0.05])
def test_a_window_of_short_calls_is_the_rules(call_s: float | None) -> None:
    assert measure.window_s(call_s, RULES) == RULES.block_s


def test_an_empty_block_is_measured_again() -> None:
    workers = Scripted(0, 0, 100)
    assert a_block(workers).items == pytest.approx(100)
    assert len(workers.commands) == 3


def test_only_empty_blocks_are_a_stall() -> None:
    with pytest.raises(WorkerFailed, match="overloaded") as caught:
        a_block(Scripted(0))
    assert caught.value.status is Status.TIMEOUT


def test_one_worker_that_slept_does_not_empty_a_block() -> None:
    assert a_block(Scripted((0, 80))).items == pytest.approx(80)
