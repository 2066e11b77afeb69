from __future__ import annotations

import pytest

from autotune.core.rules import ConfirmRules
from autotune.core.space_types import Budget
from autotune.study.confirm.context import LEAST_S, time_left
from tests.fake_executor import Clock

RULES = ConfirmRules(share=1 / 3)


@pytest.mark.parametrize(
    ("minutes", "elapsed_s", "predicted_s", "seconds", "extended"),
    [
        (None, 10, 0, LEAST_S, LEAST_S),
        (None, 10, 250, 250, 250),
        (None, 6000, 250, 3000, 3000),
        (10, 100, 0, 200, 500),
        (10, 100, 150, 200, 500),
        (10, 100, 320, 320, 500),
        (10, 100, 900, 500, 500),
        (10, 450, 320, 150, 150),
        (10, 660, 320, -60, -60),
    ],
)
def test_the_time_is_a_share_or_what_is_predicted_until_it_is_extended_to_all_that_is_left(
    minutes: float | None, elapsed_s: float, predicted_s: float, seconds: float, extended: float
) -> None:
    clock = Clock()
    left = time_left(Budget(minutes=minutes), elapsed_s, predicted_s, RULES, clock)
    assert left() == pytest.approx(seconds)
    clock.now += 60
    assert (left.elapsed(), left()) == (60, pytest.approx(seconds - 60))
    assert left.most() == pytest.approx(extended - 60)
    left.extend()
    assert left() == pytest.approx(extended - 60)


@pytest.mark.parametrize(("kept", "seconds"), [(50, 50), (90, 90), (1000, 140), (-5, -5)])
def test_what_follows_has_at_most_so_many_seconds_and_never_more_than_are_left(kept: float, seconds: float) -> None:
    clock = Clock()
    left = time_left(Budget(minutes=10), 100, 0, RULES, clock)
    clock.now += 60
    left.keep(kept)
    assert left() == pytest.approx(seconds)
    assert left.most() == pytest.approx(440)
