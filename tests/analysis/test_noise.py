"""The noise model has the figures that it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from autotune.core.results import Block
from tests.noise import Machine, in_turn


def windows(loudness: float) -> list[list[Block]]:
    """Ten minutes on each of 16 machines."""
    return [in_turn(Machine(seed, loudness, 700), [4.0], 1, 800, 0)[0][0] for seed in range(16)]


def spread(rates: np.ndarray, blocks: int) -> float:
    """The standard deviation of the log rates' means over so many blocks."""
    return float(np.log(rates).reshape(-1, blocks).mean(axis=1).std())


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
