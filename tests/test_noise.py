"""The noise model has the figures that it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from autotune.analysis import drift
from autotune.core.results import Block
from tests.noise import Machine, in_turn


def windows(loudness: float) -> list[list[Block]]:
    """Ten minutes on each of 16 machines."""
    return [in_turn(Machine(seed, loudness, 700), [4.0], 1, 800, 0)[0][0] for seed in range(16)]


def spread(rates: np.ndarray, blocks: int) -> float:
    """The standard deviation of the log rates' means over so many blocks."""
    return float(np.log(rates).reshape(-1, blocks).mean(axis=1).std())


def corrected(found: list[list[Block]]) -> np.ndarray:
    trials = [window[i : i + 10] for window in found for i in range(0, 200, 10)]
    fitted = drift.fit(trials)
    return np.array([drift.corrected(window, fitted) for window in found])


@pytest.fixture(scope="module")
def usual() -> list[list[Block]]:
    return windows(1.0)


def rates(found: list[list[Block]]) -> np.ndarray:
    return np.array([[block.rate for block in window] for window in found])


def test_blocks_spread_as_recorded(usual: list[list[Block]]) -> None:
    logs = np.log(rates(usual))
    assert 0.13 < logs.std() < 0.165
    assert 0.12 < np.diff(logs, axis=1).std() < 0.16
    assert 0.06 < spread(rates(usual), 8) < 0.11


def test_the_canary_follows_the_blocks_as_recorded(usual: list[list[Block]]) -> None:
    canaries = [[np.log(list(block.canary.parts.values())).mean() for block in window] for window in usual]
    assert np.corrcoef(np.log(rates(usual)).ravel(), np.ravel(canaries))[0, 1] == pytest.approx(0.7, abs=0.05)


def test_correcting_takes_off_what_was_recorded(usual: list[list[Block]]) -> None:
    before, after = rates(usual), corrected(usual)
    assert 0.46 < spread(after, 8) / spread(before, 8) < 0.69
    assert 0.21 < spread(after, 20) / spread(before, 20) < 0.6


def test_a_quiet_window_has_the_recorded_means() -> None:
    quiet = windows(0.35)
    assert spread(rates(quiet), 20) == pytest.approx(0.028, abs=0.005)
    assert spread(corrected(quiet), 20) == pytest.approx(0.015, abs=0.004)


def test_a_seed_repeats_itself() -> None:
    assert in_turn(Machine(3), [4.0, 4.1], 2, 3) == in_turn(Machine(3), [4.0, 4.1], 2, 3)
