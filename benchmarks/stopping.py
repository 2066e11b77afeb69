"""When does a search without a budget end, and how good is what it believes to be the best by then?

Searches are replayed on the spaces that were recorded whole (`replay.py`), after the recipes, and end where the driver
would end them. Prints the medians and extremes over the seeds: trials, simulated seconds, and the regret.

    python benchmarks/stopping.py [--seeds 50]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
from competitors import OURS, Driven, searcher
from regret import Run
from replay import Outcome, Replay, load, names, recorded
from search import FIRST_SEED, play

from autotune.study.model.points import Parameters
from autotune.study.search import convergence, driver


class Stopped:
    """A search that ends as the driver ends one without a budget; `reason` says why it did."""

    def __init__(self, search: Driven) -> None:
        self.search = search
        self.gains: list[float | None] = []
        self.best, self.since = 0.0, 0
        self.reason = "exhausted"

    def ask(self) -> Parameters | None:
        """The next point; None when little is to be expected."""
        if self.since >= driver.STALE:
            self.reason = "stale"
            return None
        point = self.search.ask()
        self.gains.append(getattr(self.search.study.sampler, "gain", None))
        if convergence.converged(self.gains):
            self.reason = "settled"
            return None
        return point

    def tell(self, outcome: Outcome) -> None:
        """What its trial gave."""
        self.search.tell(outcome)
        better = outcome.complete and outcome.rate is not None and outcome.rate > self.best
        self.since = 0 if better else self.since + 1
        if better and outcome.rate is not None:
            self.best = outcome.rate


def main() -> int:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    seeds = parser.parse_args().seeds
    for name in filter(recorded, names()):
        found = [stopped(load(name), seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
        runs = [run for _, run in found]
        reasons = ", ".join(f"{times} {reason}" for reason, times in Counter(reason for reason, _ in found).items())
        print(f"{name}: {reasons}")
        print(f"  trials   {_spread([len(run.seconds) for run in runs])}")
        print(f"  seconds  {_spread([run.seconds[-1] for run in runs])}")
        print(f"  regret   {_spread([run.percent[-1] for run in runs])} %", flush=True)
    return 0


def stopped(replay: Replay, seed: int) -> tuple[str, Run]:
    """Why a search ended, and what it was until then."""
    with searcher(OURS, replay, replay.first, seed, len(replay.points)) as found:
        assert isinstance(found, Driven)
        ending = Stopped(found)
        run = play(replay, ending, Random(seed), len(replay.points))
    return ending.reason, run


def _spread(values: Sequence[float]) -> str:
    low, high = np.quantile(values, (0.05, 0.95))
    middle = np.median(values)
    return f"{middle:.1f} (5 to 95 %: {low:.1f} to {high:.1f}; all: {min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    sys.exit(main())
