from __future__ import annotations

from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.protocol import Measured, Reply
from autotune.core.results import Block, Status
from autotune.core.rules import MeasureRules
from autotune.launch.blocks import warm_s, window_s
from autotune.launch.worker_pool import WorkerFailed
from tests.launch.scripted import BATCH, Scripted, SpeedSensor, bench

RULES = MeasureRules(block_s=1.0)
USUAL = (1.0,) * 6
"""The looks at six calm moments: around the first five blocks."""


def a_block(workers: Scripted, call_s: float | None = None) -> Block:
    own = bench(workers, RULES)
    own.call_s = call_s
    return own.block()


# ------------------------------------------------------------------------------------------------------- one block


def test_a_block_sums_its_workers() -> None:
    block = a_block(Scripted((40.5, 60.5)))
    assert (block.items, block.calls, block.cpu_ns, block.unit) == (pytest.approx(101), 25, 21, "sample")
    assert block.elapsed_ns == 10**9
    assert block.rate == pytest.approx(101)


def test_the_growth_of_memory_is_the_mean_of_those_that_made_a_call() -> None:
    class Growing(Scripted):
        def gather(self, timeout_s: float, doing: str) -> list[Reply]:
            growths = (3.0, 5.0, None)
            shares = cast(list[Measured], super().gather(timeout_s, doing))
            return [
                msgspec.structs.replace(share, growth_bytes=one) for share, one in zip(shares, growths, strict=True)
            ]

    assert a_block(Growing((20, 30, 10))).growth_bytes == 4.0
    assert a_block(Scripted((20, 30))).growth_bytes is None


def test_a_block_is_what_the_workers_were_told_to_count() -> None:
    workers = Scripted(1000)
    block = a_block(workers)
    (command,) = workers.commands
    assert (command.start_ns, command.stop_ns - command.start_ns) == (block.start_ns, block.elapsed_ns)


@pytest.mark.parametrize(
    ("call_s", "lead_s"),
    [
        (None, 0.005),  # nothing is known yet
        (0.04, 0.045),  # a short call is made first
        (0.5, 0.005),  # one of half a second is not
    ],
)
def test_short_calls_run_before_what_counts_begins(call_s: float | None, lead_s: float) -> None:
    workers = Scripted(1000)
    a_block(workers, call_s)
    lead_ns = workers.commands[0].start_ns - workers.sent_ns[0]
    assert lead_s - 0.005 < lead_ns / 1e9 <= lead_s


def test_the_call_is_that_of_one_worker() -> None:
    # 160 samples a second by two workers: each makes a call of 4 in 50 ms
    own = bench(Scripted((80, 80)), RULES)
    assert own.call_s is None
    own.block()
    assert own.call_s == pytest.approx(0.05)


def test_the_call_is_that_of_the_last_block() -> None:
    own = bench(Scripted(100, 1), RULES)
    assert [own.block().elapsed_ns for _ in range(3)] == [10**9, 10**9, pytest.approx(0.97 * 4e9, abs=2)]


def test_a_programs_run_tells_how_long_it_is_and_its_rate_does_not() -> None:
    own = bench(Scripted(1000), RULES)
    own.run_s = 4.0
    assert [own.block().elapsed_ns for _ in range(2)] == [pytest.approx(0.97 * 4e9, abs=2)] * 2


def test_a_long_call_makes_a_long_block() -> None:
    workers = Scripted(1)
    assert a_block(workers, 4.0).elapsed_ns == int(0.97 * 4e9)
    assert workers.timeouts_s == [RULES.block_timeout_s + 40]


def test_an_empty_block_is_measured_again() -> None:
    workers = Scripted(0, 0, 100)
    block = a_block(workers)
    assert (block.items, block.number) == (pytest.approx(100), 2)
    assert len(workers.commands) == 3


def test_only_empty_blocks_are_a_stall() -> None:
    with pytest.raises(WorkerFailed, match="overloaded") as caught:
        a_block(Scripted(0))
    assert caught.value.status is Status.TIMEOUT


def test_one_worker_that_slept_does_not_empty_a_block() -> None:
    assert a_block(Scripted((0, 80))).items == pytest.approx(80)


# --------------------------------------------------------------------------------------------------------- windows


@given(st.floats(0.0501, 100))
def test_a_window_holds_whole_calls_but_for_the_edge(call_s: float) -> None:
    window = window_s(call_s, RULES)
    whole = round(window / call_s + 0.03, 6)
    assert whole == int(whole) >= 1
    assert window >= RULES.block_s - 0.03 * call_s
    assert window <= RULES.block_s / 0.97 + call_s


@pytest.mark.parametrize("call_s", [None, 0.0001, 0.05])
def test_a_window_of_short_calls_is_the_rules(call_s: float | None) -> None:
    assert window_s(call_s, RULES) == RULES.block_s


@pytest.mark.parametrize(("call_s", "lead_s"), [(None, 0), (0.001, 0.001), (0.25, 0.25), (0.26, 0), (60, 0)])
def test_a_call_is_made_first_where_that_is_affordable(call_s: float | None, lead_s: float) -> None:
    assert warm_s(call_s) == lead_s


# ---------------------------------------------------------------------------------------------------------- looks


def test_a_look_before_a_block_and_one_after_it_while_the_workers_are_stopped() -> None:
    workers = Scripted(100)
    own = bench(workers, RULES, SpeedSensor(1.0, workers=workers))
    own.block()
    own.block()
    # what was seen after the first serves as the look before the second
    assert workers.story == ["look", "send", "pause", "look", "send", "pause", "look"]


def test_the_canary_is_asked_as_the_rules_say() -> None:
    sensor = SpeedSensor(1.0)
    bench(Scripted(100), MeasureRules(canary_s=0.03), sensor).block()
    assert sensor.asked == [((0,), 0.03)] * 2


def test_a_blocks_canary_is_between_both_looks() -> None:
    block = bench(Scripted(100), RULES, SpeedSensor(1.0, 4.0)).block()
    assert block.canary is not None
    assert block.canary.parts == dict.fromkeys(("compute", "memory", "scalar"), 2.0)


def test_a_block_without_a_canary() -> None:
    for sensor in (SpeedSensor(None), SpeedSensor(1.0, None), SpeedSensor(None, 1.0)):
        block = bench(Scripted(100), RULES, sensor).block()
        assert (block.canary, block.disturbances) == (None, ())


def test_warming_up_takes_no_look_and_stops_the_workers() -> None:
    workers = Scripted(100)
    own = bench(workers, RULES, SpeedSensor(1.0, workers=workers))
    block = own.warm()
    assert workers.story == ["send", "pause"]
    assert (block.canary, block.interference) == (None, None)
    assert own.call_s == pytest.approx(BATCH / 100)


def test_the_look_before_a_block_that_failed_is_not_used_again() -> None:
    failing, fine = Scripted(0), Scripted(100)
    own = bench(failing, RULES, SpeedSensor(1.0, workers=fine))
    with pytest.raises(WorkerFailed):
        own.block()
    own.workers = fine
    own.block()
    assert fine.story == ["look", "look", "send", "pause", "look"]


# ---------------------------------------------------------------------------------------------------- disturbances


def test_a_block_under_a_closed_gate_is_measured_again() -> None:
    own = bench(Scripted(*[100] * 5, 30, 90, 100), RULES, SpeedSensor(*USUAL, 9.0, 1.0))
    blocks = [own.block() for _ in range(6)]
    assert [block.disturbances for block in blocks] == [()] * 6
    assert [round(block.rate) for block in blocks] == [100] * 6
    assert [(round(block.rate), block.disturbances) for block in own.repeated] == [(30, ("canary",)), (90, ("canary",))]


@pytest.mark.parametrize("repeats", [0, 1, 2])
def test_a_gate_that_stays_closed_is_waited_for_no_longer_than_the_rules_say(repeats: int) -> None:
    workers = Scripted(100)
    own = bench(workers, msgspec.structs.replace(RULES, disturbed_repeats=repeats), SpeedSensor(*USUAL, 9.0))
    for _ in range(5):
        own.block()
    last = own.block()
    assert last.disturbances == ("canary",)
    assert [block.disturbances for block in own.repeated] == [("canary",)] * repeats
    assert len(workers.commands) == 6 + repeats


def test_the_value_of_a_block_closes_no_gate() -> None:
    own = bench(Scripted(*[100] * 6, 1), RULES, SpeedSensor(1.0))
    assert [own.block().disturbances for _ in range(9)] == [()] * 9
    assert own.repeated == []


def test_numbers_are_unique_and_those_of_the_commands() -> None:
    workers = Scripted(100, 0, 100)
    own = bench(workers, RULES, SpeedSensor(*USUAL, 9.0))
    numbers = [own.warm().number, *(own.block().number for _ in range(6)), *(block.number for block in own.repeated)]
    assert len(set(numbers)) == len(numbers) == 9
    assert [command.block for command in workers.commands] == list(range(10))
    assert set(range(10)) - set(numbers) == {1}  # the empty one


def test_workers_are_stopped_after_every_block() -> None:
    workers = Scripted(100)
    own = bench(workers, RULES, SpeedSensor(*USUAL, 9.0))
    for _ in range(6):
        own.block()
    assert workers.story == ["send", "pause"] * 8
