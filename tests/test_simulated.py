"""What the procedure of confirming promises, kept on the simulated noise of a shared machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from autotune import correction, selection
from autotune.results import Block, Estimate
from autotune.rules import ConfirmRules, Correction
from tests.noise import BLOCK_S, CANARY_S, Machine, Runs, in_turn, live

RULES = ConfirmRules()
FIVE_PER_CENT = math.log(1.05)
MINUTES_S = 300


@pytest.fixture(scope="module")
def fitted() -> Correction:
    """The correction of a search of 40 trials that the confirmations follow."""
    draw = np.random.default_rng(0)
    trials = [in_turn(Machine(10**6 + i), [draw.normal(3, 1)], 1, 8)[0][0] for i in range(40)]
    found = correction.fit(trials)
    assert found.slopes
    return found


def logs(sittings: Sequence[Sequence[Block]], fitted: Correction) -> list[list[float]]:
    return [[math.log(rate) for rate in correction.rates(sitting, fitted)] for sitting in sittings]


def judged(runs: Runs, fitted: Correction) -> Estimate:
    """The first system's difference to the second."""
    return selection.paired(logs(runs[0], fitted), logs(runs[1], fitted), RULES.confidence)


def rounds_in(seconds: float, systems: int, sittings: int) -> int:
    """How many rounds a sitting has when all blocks and canaries together may take so long."""
    return int(seconds / (systems * sittings * (BLOCK_S + CANARY_S)))


def repeated(
    times: int, take: Callable[[Machine], Runs], fitted: Correction, first_seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The estimates and their intervals' ends of so many confirmations, each on a machine of its own."""
    found = [judged(take(Machine(first_seed + i)), fitted) for i in range(times)]
    return tuple(np.array([getattr(one, name) for one in found]) for name in ("estimate", "low", "high"))


@pytest.mark.parametrize("loudness", [1.0, 0.35])
def test_the_interval_covers_the_truth(fitted: Correction, loudness: float) -> None:
    found = [
        judged(live(Machine(seed, loudness, 200), [3.0 + FIVE_PER_CENT, 3.0], RULES.sittings, 4), fitted)
        for seed in range(1000)
    ]
    covered = np.mean([one.low <= FIVE_PER_CENT <= one.high for one in found])
    assert 0.92 <= covered <= 0.98


def test_equal_systems_are_seldom_told_apart(fitted: Correction) -> None:
    """A/A: confirmations whose sittings are drawn again from 300 that were simulated."""
    a, b = (logs(run, fitted) for run in live(Machine(1, seconds=6000), [3.0, 3.0], 300, 4))
    draw = np.random.default_rng(2)
    claims = 0
    for _ in range(1000):
        drawn = draw.choice(300, RULES.sittings, replace=False)
        found = selection.paired([a[i] for i in drawn], [b[i] for i in drawn], RULES.confidence)
        claims += not found.low <= 0 <= found.high
    assert 0.02 <= claims / 1000 <= 0.07


def test_selection_finds_the_best(fitted: Correction) -> None:
    """Kim-Nelson with one system of four that is 5 % better than the rest."""
    times, correct, taken = 200, 0, []
    for seed in range(times):
        systems = [3.0 + FIVE_PER_CENT, 3.0, 3.0, 3.0]
        runs = live(Machine(seed, seconds=1400), systems, RULES.sittings, 50)
        rounds = {str(i): sum(logs(run, fitted), []) for i, run in enumerate(runs)}
        best, used = selected(rounds)
        correct += best == "0"
        taken.append(used)
    assert correct / times >= 0.92  # 0.95 less two standard errors


def selected(rounds: dict[str, list[float]]) -> tuple[str, int]:
    """The survivor, or the best mean of several, and the number of rounds that it took."""
    total = len(rounds["0"])
    for used in [*range(RULES.first_stage, total, 10), total]:
        left = selection.surviving({name: values[:used] for name, values in rounds.items()}, RULES)
        if len(left) == 1:
            break
    return max(left, key=lambda name: sum(rounds[name])), used


def test_five_per_cent_is_found_within_five_minutes(fitted: Correction) -> None:
    rounds = rounds_in(MINUTES_S, 2, RULES.sittings)
    _, low, _ = repeated(200, lambda m: live(m, [3.0 + FIVE_PER_CENT, 3.0], RULES.sittings, rounds), fitted)
    assert np.mean(low > 0) >= 0.9


def test_live_needs_a_third_of_the_time_of_processes_in_turn(fitted: Correction) -> None:
    systems = [3.0 + FIVE_PER_CENT, 3.0]
    long, short = (rounds_in(seconds, 2, RULES.sittings) for seconds in (MINUTES_S, MINUTES_S / 3))
    turned, _, _ = repeated(200, lambda m: in_turn(m, systems, RULES.sittings, long), fitted)
    alive, _, _ = repeated(200, lambda m: live(m, systems, RULES.sittings, short), fitted)
    assert alive.std() <= turned.std()
