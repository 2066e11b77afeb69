"""The confirmation as it is shipped, stopping and deciding included, on the simulated noise of a shared machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Goal
from autotune.study.confirm import decision, paired_comparison
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.decision import Decision
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.schedule import Keep
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


def decided(folder: Path, seed: int, loudness: float = 1.0, **gains: float) -> Decision:
    """The decision on a machine of its own, of so much noise; `gains` are log ratios over the baseline."""
    logs = {BASELINE: 3.0} | {name.replace("_", "-"): 3.0 + gain for name, gain in gains.items()}
    executor = SimulatedExecutor(folder, Machine(seed, loudness, seconds=2 * SECONDS), logs)
    paired = PairedComparison(str(seed), folder, HW, WORKLOAD, FINALISTS.configs, MeasureRules(), RULES)

    def compared(rule: Keep) -> list[InterleavedRun]:
        left_s = SECONDS - executor.clock()
        return paired_comparison.compare(paired, executor, rule, left_s, left_s, True, executor.clock)

    runs = compared(UntilClaimed(FINALISTS, RULES, ANY, decide))
    if decide(runs, ended=True).gain:
        compared(UntilSelected(RULES, decide))
        runs = compared(UntilWinnerClaimed(decide))
    return decide(runs, ended=True)


def decide(runs: Sequence[InterleavedRun], *, ended: bool = False) -> Decision:
    return decision.decide(runs, FINALISTS, PLAIN, RULES, ANY, ended=ended)
