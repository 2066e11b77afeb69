from __future__ import annotations

import math

import pytest

from autotune.analysis import stats, stopping
from autotune.core.rules import MeasureRules

RULES = MeasureRules()
SOME = [101.0, 99.5, 103.2, 97.9, 100.4, 102.2]

# ------------------------------------------------------------------------------------------------------- warm-up


@pytest.mark.parametrize(
    ("values", "rising"),
    [
        ([], True),
        ([100], True),  # one block says nothing
        ([100, 104], False),
        ([100, 106], True),
        ([100, 80], False),  # falling is not warming up
        ([100, 150, 180, 181], False),
        ([100, 150, 180, 200], True),
        # a machine whose blocks vary by 30 %: a rise of 20 % is one of them
        ([100, 130, 95, 128, 100, 120], False),
        ([100, 130, 95, 128, 100, 250], True),
        ([100, 130, 100, 120], True),  # two differences before the last one show no spread
        ([100, 130, 100, 130, 156], False),  # three do: 2 s is 0.61, the last rise 0.18
    ],
)
def test_still_rising(values: list[float], rising: bool) -> None:
    assert stopping.still_warming_up(values, RULES) is rising


def test_the_rise_that_counts_is_a_rule() -> None:
    assert stopping.still_warming_up([100, 104], MeasureRules(warmup_rise=0.01))
    assert not stopping.still_warming_up([100, 104], MeasureRules(warmup_rise=math.log(1.04)))


# ---------------------------------------------------------------------------------------------------- stop rules


@pytest.mark.parametrize(
    ("values", "elapsed_s", "stop"),
    [
        ([], 0.0, False),
        ([100, 100], 1.0, False),  # fewer blocks than asked for
        ([100, 101, 100], 1.5, True),
        ([100, 150, 70], 1.5, False),  # too wide
        ([100, 150, 70], 6.0, True),  # out of time
        ([100], 6.0, True),
    ],
)
def test_enough(values: list[float], elapsed_s: float, stop: bool) -> None:
    assert stopping.precise_enough(values, elapsed_s, RULES) is stop


def test_enough_ends_exactly_at_the_width() -> None:
    values = [100, 110, 95, 104]
    width = stats.half_width(values, RULES.confidence)
    assert stopping.precise_enough(values, 0, MeasureRules(half_width=width))
    assert not stopping.precise_enough(values, 0, MeasureRules(half_width=width * 0.999))


@pytest.mark.parametrize(
    ("values", "incumbent", "slower"),
    [
        ([10, 10], None, False),  # nothing to lose against
        ([10], 100, False),  # one block may be a stall
        ([49, 49], 100, True),
        ([51, 51], 100, False),
        ([1, 1], 2, False),  # half of it is not under half
        ([10, 300], 100, False),  # the geometric mean is 55
    ],
)
def test_clearly_slower(values: list[float], incumbent: float | None, slower: bool) -> None:
    assert stopping.clearly_slower(values, incumbent, RULES) is slower


@pytest.mark.parametrize(("rate", "incumbent", "hopeless"), [(1, None, False), (33, 100, True), (1, 3, False)])
def test_hopeless(rate: float, incumbent: float | None, hopeless: bool) -> None:
    assert stopping.hopeless(rate, incumbent, RULES) is hopeless
