from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.results import Candidate
from autotune.core.space_types import Goal
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from tests.study.confirm.finalist_runs import (
    ALL,
    CONFIGS,
    FINALISTS,
    RULES,
    THIRD,
    block,
    decide,
    run,
    until_claimed,
    with_memory,
)


def test_with_several_objectives_all_are_measured_and_the_knee_of_the_search_wins() -> None:
    several = Constraints(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    runs = [with_memory(number, trial_1=50, trial_2=25) for number in range(1, 7)]
    assert until_claimed(several)(runs[:2]) == set(CONFIGS)
    assert until_claimed(several)(runs) == set()
    found = decide(runs, several)
    assert (found.name, found.gain) == ("trial-1", True)
    ratios = {name: round(one.estimate, 2) for name, one in found.finalists[1].ratios.items()}
    assert ratios == {"throughput": 1.5, "peak_rss_bytes": 4.0}


def test_each_of_several_objectives_is_held_to_its_own_noise_and_part_of_the_confidence() -> None:
    """The rates of the leader and its twin differ wildly; its memory does not, and is what it gains."""
    several = Constraints(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    noisy = {"trial_1": 11.0, "trial_2": 10.0, "baseline": 10.0}
    runs = []
    for number in range(1, 7):
        one = run(number, **noisy, trial_1_again=5.0 + 2 * number)
        candidates = {
            name: msgspec.structs.replace(candidate, peak_rss_bytes=100) for name, candidate in one.candidates.items()
        }
        for name in ("trial-1", "trial-1-again"):
            candidates[name] = msgspec.structs.replace(candidates[name], peak_rss_bytes=50)
        runs.append(msgspec.structs.replace(one, candidates=candidates))
    found = decide(runs, several)
    assert found.noise_floor is not None and found.noise_floor > 0.3
    assert (found.name, found.gain) == ("trial-1", True)
    wide = msgspec.structs.replace(
        runs[0],
        candidates=runs[0].candidates
        | {"trial-1": Candidate(config=CONFIGS["trial-1"], blocks=(block(30.0), block(30.0)))},
    )
    rows = [wide, *runs[1:]]
    alone = decide(rows).finalists[0].ratio
    both = decide(rows, several).finalists[0].ratio
    assert alone is not None and both is not None and alone.low is not None and both.low is not None
    assert both.low < alone.low and both.estimate == alone.estimate


def test_a_gain_in_no_objective_is_none() -> None:
    several = Constraints(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    level = dict.fromkeys(ALL, 10.0)
    runs = []
    for number in range(1, 7):
        one = run(number, **level)
        candidates = {
            name: msgspec.structs.replace(candidate, peak_rss_bytes=100) for name, candidate in one.candidates.items()
        }
        runs.append(msgspec.structs.replace(one, candidates=candidates))
    found = decide(runs, several)
    assert (found.name, found.gain) == (BASELINE, False)


def test_of_several_objectives_those_that_join_later_get_a_claim_before_it_is_settled() -> None:
    """The first claim was made among few; the knee of the whole front had not been found by then."""
    several = Constraints(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    front = Finalists({"trial-3": THIRD, **FINALISTS.trials})
    runs = [with_memory(number, trial_1=50, trial_2=25) for number in range(1, 7)]
    assert decide(runs, several).settled
    going_on = decide(runs, several, front)
    assert not going_on.settled and "trial-3" in going_on.rivals
