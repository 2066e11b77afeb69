from __future__ import annotations

import math
from pathlib import Path

import pytest

from autotune.study.confirm.names import BASELINE
from tests.study.confirm.simulated import decided


@pytest.mark.parametrize(("seeds", "most"), [(10, 0.1), pytest.param(1000, 0.05, marks=pytest.mark.slow)])
def test_equal_configurations_are_seldom_called_a_gain(folder: Path, seeds: int, most: float) -> None:
    """A/A, with looks after 3, 4 and 5 runs where intervals are narrow, after 6 and 12, and at the end of the time."""
    found = [decided(folder, seed, trial_1=0.0, trial_2=0.0) for seed in range(seeds)]
    assert sum(one.reason is None for one in found) / seeds >= 0.98
    assert sum(one.gain for one in found) / seeds <= most


@pytest.mark.parametrize(
    ("seeds", "claimed", "covered"), [(20, 0.9, 0.85), pytest.param(200, 0.95, 0.9, marks=pytest.mark.slow)]
)
def test_a_large_gain_is_claimed_and_its_interval_holds(
    folder: Path, seeds: int, claimed: float, covered: float
) -> None:
    truth = math.log(1.3)
    found = [decided(folder, seed, trial_1=0.05, trial_2=truth) for seed in range(seeds)]
    assert sum(one.gain and one.name == "trial-2" for one in found) / seeds >= claimed
    claims = [one.rates.difference("trial-2", BASELINE) for one in found]
    assert sum((one.low or 0) <= truth <= (one.high or 0) for one in claims) / seeds >= covered
