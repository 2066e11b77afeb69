from __future__ import annotations

import itertools

from autotune.core.results import Block
from autotune.core.rules import Correction, MeasureRules
from autotune.launch import measure
from autotune.launch.measure import Measurement
from tests.launch.scripted import Scripted, SpeedSensor, bench

RULES = MeasureRules(block_s=1.0, warmup_s=5.0, measure_s=6.0, min_blocks=3, half_width=0.05)


def measured(workers: Scripted, rules: MeasureRules = RULES, incumbent: float | None = None) -> Measurement:
    return measure.measure(bench(workers, rules), rules, incumbent, lambda blocks: None)


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
    measure.measure(bench(Scripted(1000), RULES), RULES, None, lambda blocks: seen.append(len(blocks)))
    assert seen == [1, 2, 3]


# ------------------------------------------------------------------------------------------------------- correction

FOLLOWS = Correction(slopes={"compute": 1.0}, centres={1: {"compute": 0.0}})


def corrected(workers: Scripted, sensor: SpeedSensor, incumbent: float | None = None) -> Measurement:
    rules = MeasureRules(block_s=1.0, measure_s=6.0, min_blocks=3, correction=FOLLOWS, disturbed_repeats=0)
    return measure.measure(bench(workers, rules, sensor), rules, incumbent, lambda blocks: None)


def test_a_slow_moment_does_not_reject() -> None:
    slow = Scripted(300)
    assert corrected(slow, SpeedSensor(None), incumbent=1000.0).rejected
    assert not corrected(slow, SpeedSensor(0.3), incumbent=1000.0).rejected


def test_the_blocks_keep_their_own_rates() -> None:
    assert rates(corrected(Scripted(300), SpeedSensor(0.3)).blocks) == [300] * 3


def test_blocks_that_follow_the_machine_are_enough_soon() -> None:
    speeds = [1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 1.0, 1.0, 4.0, 4.0]
    around = [(a * b) ** 0.5 for a, b in itertools.pairwise(speeds)]
    follows = Scripted(*(1000 * speed for speed in around))
    assert len(corrected(follows, SpeedSensor(*speeds)).blocks) == 3
    assert len(corrected(follows, SpeedSensor(None)).blocks) > 3


def test_a_block_that_is_repeated_is_none_of_the_trials() -> None:
    # the look after the sixth block is off its place, and so is the same look before the next one
    workers = Scripted(1000)
    sensor = SpeedSensor(*[1.0] * 6, 9.0, 1.0)
    rules = MeasureRules(block_s=1.0, min_blocks=5, measure_s=6.0)
    own = bench(workers, rules, sensor)
    found = measure.measure(own, rules, None, lambda blocks: None)
    assert [block.number for block in found.warmup] == [0, 1]
    assert [block.number for block in found.blocks] == [2, 3, 4, 7, 8]
    assert [block.number for block in own.repeated] == [5, 6]
