from __future__ import annotations

import math

import pytest

from autotune.study.search.convergence import SETTLED, SETTLED_GAIN, converged

LITTLE, MUCH = SETTLED_GAIN / 2, 10 * SETTLED_GAIN


@pytest.mark.parametrize(
    ("gains", "ended"),
    [
        ([LITTLE] * SETTLED, True),
        ([MUCH, *[LITTLE] * SETTLED], True),
        ([LITTLE] * (SETTLED - 1), False),
        ([*[LITTLE] * (SETTLED - 1), MUCH], False),
        ([*[LITTLE] * (SETTLED - 1), None], False),
        ([SETTLED_GAIN] * SETTLED, False),
        ([], False),
    ],
)
def test_a_search_ends_once_its_latest_proposals_promise_too_little(gains: list[float | None], ended: bool) -> None:
    assert converged(gains) is ended


def test_what_is_too_little_may_be_given() -> None:
    gains = [math.log(1.05)] * SETTLED
    assert converged(gains, math.log(1.1)) and not converged(gains)
