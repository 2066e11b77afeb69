"""The confirmation as it is shipped, stopping and deciding included, on the simulated noise of a shared machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Goal
from autotune.study.confirm import decision, paired_comparison
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.decision import Decision
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.until_selected import UntilClaimed, UntilSelected, UntilWinnerClaimed
from tests.noise import Machine
from tests.report.made import HW, PLAIN, config, result
from tests.simulated_executor import SimulatedExecutor
from tests.study.fakes import WORKLOAD

RULES = ConfirmRules()
ANY = Constraints(Path(), Goal(), RULES.confidence)
SECONDS = 240.0
FINALISTS = Finalists(
    {
        "trial-1": result(1, config(batch_size=2), rates=(10, 10)),
        "trial-2": result(2, config(batch_size=4), rates=(10, 10)),
        BASELINE: result(0, PLAIN, rates=(10, 10)),
    }
)


def decided(folder: Path, seed: int, **gains: float) -> Decision:
    """The decision on a machine of its own; `gains` are log ratios over the baseline."""
    logs = {BASELINE: 3.0} | {name.replace("_", "-"): 3.0 + gain for name, gain in gains.items()}
    executor = SimulatedExecutor(folder, Machine(seed, seconds=2 * SECONDS), logs)
    paired = PairedComparison(str(seed), folder, HW, WORKLOAD, FINALISTS.configs, MeasureRules(), RULES)
    runs: list[InterleavedRun] = []
    for rule in (UntilClaimed(FINALISTS, RULES, ANY, decide), UntilSelected(RULES, decide), UntilWinnerClaimed(decide)):
        left_s = SECONDS - executor.clock()
        runs = paired_comparison.compare(paired, executor, rule, left_s, left_s, True, executor.clock)
    return decide(runs, ended=True)


def decide(runs: Sequence[InterleavedRun], *, ended: bool = False) -> Decision:
    return decision.decide(runs, FINALISTS, PLAIN, RULES, ANY, ended=ended)


@pytest.mark.parametrize(("seeds", "most"), [(30, 0.1), pytest.param(1000, 0.05, marks=pytest.mark.slow)])
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
