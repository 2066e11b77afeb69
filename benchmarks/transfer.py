"""What is an earlier study of another workload worth? Replayed on the spaces that were recorded whole (`replay.py`).

A search of one space is written as a study. A search of the other space then begins with the baseline, what autotune
takes from that study, and the recipes; it is compared with one that begins with the baseline and the recipes. Prints
the median regrets, and the ratio of the median times to within 5 % of the best with its bootstrap interval. Exits with
1 where an earlier study makes a search clearly slower.

    python benchmarks/transfer.py [--seeds 50] [--trials 20]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from competitors import OURS, Searcher, searcher
from regret import Run, near_s, ratio, regret_at, worse
from replay import Outcome, Own, key, load, names, recorded
from search import FIRST_SEED, play

from autotune.core.results import Status, TrialResult
from autotune.core.specs import TrialSpec
from autotune.study.model import suggest
from autotune.study.model.points import Parameters
from autotune.study.search import transfer
from autotune.study.storage import opening, store

LENGTH = 40
SHOWN = (2, 5, 10)


@dataclass
class Noted:
    """A search, of which the trials are noted."""

    search: Searcher
    trials: list[tuple[Parameters, Outcome]] = field(default_factory=list)

    def ask(self) -> Parameters | None:
        """The next point."""
        self.point = self.search.ask()
        return self.point

    def tell(self, outcome: Outcome) -> None:
        """What its trial gave."""
        assert self.point is not None
        self.trials.append((self.point, outcome))
        self.search.tell(outcome)


def main() -> int:
    """Compare on each pair of spaces; 1 if one is clearly slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--trials", type=int, default=20, help="of the earlier study")
    options = parser.parse_args()
    own = [replay for replay in map(load, filter(recorded, names())) if isinstance(replay, Own)]
    slower = False
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    for there, here in [(there, here) for there in own for here in own if there is not here]:
        without = {seed: searched(here, here.first, seed) for seed in seeds}
        after = {
            seed: searched(here, [here.first[0], *taken(there, here, seed, options.trials), *here.first[1:]], seed)
            for seed in seeds
        }
        slower |= worse(after, without)
        print(f"{here.name} after a study of {there.name}: time over that without {ratio(after, without)}")
        for what, runs in (("without", list(without.values())), ("after it", list(after.values()))):
            shown = ", ".join(f"{regret_at(runs, count):.1f} % after {count}" for count in SHOWN)
            print(f"  {what}: regret {shown} trials; near after {near_s(runs)} s", flush=True)
    return int(slower)


def searched(replay: Own, first: Sequence[Parameters], seed: int) -> Run:
    """A search that begins with these points."""
    distinct = list({key(point): point for point in first}.values())
    with searcher(OURS, replay, distinct, seed, LENGTH) as found:
        return play(replay, found, random.Random(seed), LENGTH)


def taken(there: Own, here: Own, seed: int, trials: int) -> list[Parameters]:
    """What autotune takes from a study of one space for another one."""
    with searcher(OURS, there, there.first, seed, trials) as found:
        noted = Noted(found)
        play(there, noted, random.Random(seed), trials)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / there.name
        with opening.opened(folder, there.space, "", there.hardware):
            for number, (point, outcome) in enumerate(noted.trials):
                result = _result(there, number, point, outcome)
                (folder / result.spec.folder).mkdir(parents=True)
                store.write_result(folder, result)
        earlier = transfer.find(Path(name) / here.name, here.space, here.hardware, [folder])
    points = (suggest.parameters(config, here.space.domains, here.hardware) for config in earlier.configs)
    return [point for point in points if point is not None]


def _result(there: Own, number: int, point: Parameters, outcome: Outcome) -> TrialResult:
    domains = there.space.domains
    config = suggest.nth(suggest.index(point, str(point["backend"]), domains), domains, there.hardware)
    spec = TrialSpec(id=number, workload=there.space.workload, config=config, folder=store.trial_folder(number))
    status = Status.OK if outcome.complete else Status.CRASHED if outcome.rate is None else Status.REJECTED
    return TrialResult(spec=spec, status=status, blocks=outcome.blocks)


if __name__ == "__main__":
    sys.exit(main())
