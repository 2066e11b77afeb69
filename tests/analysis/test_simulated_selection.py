"""The promises of paired differences and of the selection, kept on the simulated noise of a shared machine.

Each with few seeds and wide bounds, and (slow) with as many as tell a figure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from autotune.analysis import drift, selection
from autotune.core.estimate import Estimate
from autotune.core.results import Block
from autotune.core.rules import ConfirmRules, Correction
from tests.noise import BLOCK_S, CANARY_S, Machine, Runs, in_turn, live

RULES = ConfirmRules()
FIVE_PER_CENT = math.log(1.05)
PAIR = [3.0 + FIVE_PER_CENT, 3.0]
MINUTES_S = 5 * 60


def slow(*values: float) -> ParameterSet:
    """Parameters of a test that only `make slow` runs."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def fitted() -> Correction:
    """The correction of a search of 40 trials that the confirmations follow."""
    draw = np.random.default_rng(0)
    trials = [in_turn(Machine(10**6 + i), [draw.normal(3, 1)], 1, 8)[0][0] for i in range(40)]
    found = drift.fit(trials)
    assert found.slopes
    return found


def logs(runs: Sequence[Sequence[Block]], fitted: Correction) -> list[list[float]]:
    return [[math.log(rate) for rate in drift.corrected(run, fitted)] for run in runs]


def judged(runs: Runs, fitted: Correction) -> Estimate:
    """The first system's difference to the second."""
    return selection.paired_difference(logs(runs[0], fitted), logs(runs[1], fitted), RULES.confidence)


def rounds_in(seconds: float, systems: int, runs: int) -> int:
    """The number of rounds that an interleaved run has when all blocks and canaries together may take so long."""
    return int(seconds / (systems * runs * (BLOCK_S + CANARY_S)))


def repeated(times: int, take: Callable[[int], Estimate]) -> np.ndarray:
    """Estimates, lower and upper ends (three rows) of so many confirmations, by their seeds."""
    found = [take(seed) for seed in range(times)]
    return np.array([[one.estimate, one.low, one.high] for one in found]).T


@pytest.mark.parametrize("loudness", [1.0, 0.35])
@pytest.mark.parametrize(("times", "least", "most"), [(100, 0.88, 1.0), slow(1000, 0.92, 0.98)])
def test_the_interval_covers_the_truth(
    fitted: Correction, loudness: float, times: int, least: float, most: float
) -> None:
    _, low, high = repeated(
        times, lambda seed: judged(live(Machine(seed, loudness, 200), PAIR, RULES.sure_runs, 4), fitted)
    )
    assert least <= np.mean((low <= FIVE_PER_CENT) & (high >= FIVE_PER_CENT)) <= most


@pytest.mark.parametrize(("simulated", "times", "least", "most"), [(60, 300, 0.01, 0.10), slow(300, 1000, 0.02, 0.07)])
def test_equal_systems_are_seldom_told_apart(
    fitted: Correction, simulated: int, times: int, least: float, most: float
) -> None:
    """A/A: confirmations whose interleaved runs are drawn again from those that were simulated."""
    a, b = (logs(run, fitted) for run in live(Machine(1, seconds=20.0 * simulated), [3.0, 3.0], simulated, 4))
    draw = np.random.default_rng(2)

    def drawn(_: int) -> Estimate:
        picked = draw.choice(simulated, RULES.sure_runs, replace=False)
        return selection.paired_difference([a[i] for i in picked], [b[i] for i in picked], RULES.confidence)

    _, low, high = repeated(times, drawn)
    assert least <= np.mean((low > 0) | (high < 0)) <= most


@pytest.mark.parametrize("difference", [RULES.delta, FIVE_PER_CENT])
@pytest.mark.parametrize(("times", "error"), [(20, 0.10), slow(200, 0.03)])
def test_selection_finds_the_best(fitted: Correction, difference: float, times: int, error: float) -> None:
    """One system of four is better than the rest, by the smallest difference that matters or by more.

    As often as promised, less two standard errors of so many times.
    """
    correct = 0
    for seed in range(times):
        runs = live(Machine(seed, seconds=2200), [3.0 + difference, 3.0, 3.0, 3.0], 50, 6)
        rounds = {str(i): list(itertools.chain(*logs(run, fitted))) for i, run in enumerate(runs)}
        correct += best(rounds) == "0"
    assert correct / times >= 1 - RULES.alpha - error


def best(rounds: dict[str, list[float]]) -> str:
    """The survivor, or the best mean of several."""
    return max(selection.surviving(rounds, RULES), key=lambda name: sum(rounds[name]))


@pytest.mark.parametrize(("times", "least"), [(20, 0.75), slow(200, 0.9)])
def test_five_per_cent_is_found_within_five_minutes(fitted: Correction, times: int, least: float) -> None:
    rounds = rounds_in(MINUTES_S, 2, RULES.sure_runs)
    _, low, _ = repeated(times, lambda seed: judged(live(Machine(seed), PAIR, RULES.sure_runs, rounds), fitted))
    assert np.mean(low > 0) >= least


# ------------------------------------------------------------------------------------- live, or fresh processes


@pytest.fixture(scope="module", params=[50, slow(500)])
def alive(request: pytest.FixtureRequest) -> list[Runs]:
    """Confirmations by live processes that had a third of the time."""
    rounds = rounds_in(MINUTES_S / 3, 2, RULES.sure_runs)
    return [live(Machine(seed, seconds=300), PAIR, RULES.sure_runs, rounds) for seed in range(request.param)]


def test_live_needs_a_third_of_the_time_of_one_system_after_the_other(alive: list[Runs], fitted: Correction) -> None:
    """Six launches of the one, then six of the other."""
    blocks = rounds_in(MINUTES_S, 2, RULES.sure_runs)

    def turned(seed: int) -> Estimate:
        machine = Machine(seed)
        return judged([in_turn(machine, [system], RULES.sure_runs, blocks)[0] for system in PAIR], fitted)

    short, *_ = repeated(len(alive), lambda seed: judged(alive[seed], fitted))
    long, *_ = repeated(len(alive), turned)
    assert short.std() < 0.75 * long.std()


def test_live_needs_a_third_of_the_time_of_launches_in_turn(alive: list[Runs], fitted: Correction) -> None:
    """Launches of both by turns. Correcting the rates helps these more, so it is tried with and without."""
    blocks = rounds_in(MINUTES_S, 2, RULES.sure_runs)
    turned = [in_turn(Machine(seed), PAIR, RULES.sure_runs, blocks) for seed in range(len(alive))]
    short, *_ = repeated(len(alive), lambda seed: judged(alive[seed], Correction()))
    long, *_ = repeated(len(alive), lambda seed: judged(turned[seed], Correction()))
    assert short.std() < 0.75 * long.std()
    _, short_low, _ = repeated(len(alive), lambda seed: judged(alive[seed], fitted))
    _, long_low, _ = repeated(len(alive), lambda seed: judged(turned[seed], fitted))
    assert np.mean(short_low > 0) >= np.mean(long_low > 0)
