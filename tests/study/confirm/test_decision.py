from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.results import Candidate
from autotune.core.space_types import Goal
from autotune.study.confirm import decision, elimination
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.elimination import UntilSelected
from autotune.study.confirm.names import BASELINE
from tests.report.made import PLAIN
from tests.study.confirm.finalist_runs import (
    ALL,
    ANY,
    CONFIGS,
    FINALISTS,
    NAMES,
    RULES,
    SMALL,
    block,
    run,
    with_memory,
)


def test_what_breaks_a_limit_is_out_of_the_running() -> None:
    runs = [with_memory(number, trial_1=500) for number in (1, 2)]
    assert elimination.remaining(runs, NAMES, RULES, SMALL) == {"trial-2"}
    found = decision.decide(
        [with_memory(number, trial_1=500) for number in range(1, 7)], FINALISTS, PLAIN, RULES, SMALL
    )
    assert (found.name, found.gain) == ("trial-2", True)
    assert [one.broken for one in found.finalists] == [
        "peak_rss_bytes is 5.243e+08, allowed at most 2.09715e+08",
        None,
        None,
    ]


def test_a_baseline_that_breaks_a_limit_does_not_win() -> None:
    """Nothing is faster than it, and yet it cannot be used."""
    slow = {**ALL, "trial_1": 8.0, "trial_1_again": 8.0, "trial_2": 5.0}
    runs = [run(number, **slow) for number in range(1, 7)]
    assert decision.decide(runs, FINALISTS, PLAIN, RULES, ANY).name == BASELINE
    heavy = []
    for one in runs:
        candidates = {
            name: msgspec.structs.replace(candidate, peak_rss_bytes=(9 if name == BASELINE else 1) * 2**27)
            for name, candidate in one.candidates.items()
        }
        heavy.append(msgspec.structs.replace(one, candidates=candidates))
    found = decision.decide(heavy, FINALISTS, PLAIN, RULES, SMALL)
    assert (found.name, found.gain, found.reason) == ("trial-1", False, None)


def test_nothing_is_claimed_where_every_finalist_breaks_a_limit() -> None:
    runs = [with_memory(number, trial_1=500, trial_2=500, baseline=500) for number in range(1, 7)]
    found = decision.decide(runs, FINALISTS, PLAIN, RULES, SMALL)
    assert not found.gain
    assert found.reason is not None and "no finalist kept the limits while it was confirmed" in found.reason
    assert UntilSelected(FINALISTS, RULES, SMALL)(runs[:1]) == set()


def test_with_several_objectives_all_are_measured_and_the_knee_of_the_search_wins() -> None:
    several = Constraints(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    runs = [with_memory(number, trial_1=50, trial_2=25) for number in range(1, 7)]
    assert UntilSelected(FINALISTS, RULES, several)(runs[:5]) == set(CONFIGS)
    assert UntilSelected(FINALISTS, RULES, several)(runs) == set()
    found = decision.decide(runs, FINALISTS, PLAIN, RULES, several)
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
    found = decision.decide(runs, FINALISTS, PLAIN, RULES, several)
    assert found.noise_floor is not None and found.noise_floor > 0.4
    assert (found.name, found.gain) == ("trial-1", True)
    wide = msgspec.structs.replace(
        runs[0],
        candidates=runs[0].candidates
        | {"trial-1": Candidate(config=CONFIGS["trial-1"], blocks=(block(30.0), block(30.0)))},
    )
    rows = [wide, *runs[1:]]
    alone = decision.decide(rows, FINALISTS, PLAIN, RULES, ANY).finalists[0].ratio
    both = decision.decide(rows, FINALISTS, PLAIN, RULES, several).finalists[0].ratio
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
    found = decision.decide(runs, FINALISTS, PLAIN, RULES, several)
    assert (found.name, found.gain) == (BASELINE, False)


def test_runs_without_the_figure_are_no_claim() -> None:
    memory = Constraints(Path(), Goal(objectives=("peak_rss_bytes",)), RULES.confidence)
    found = decision.decide([run(number, **ALL) for number in range(1, 7)], FINALISTS, PLAIN, RULES, memory)
    assert not found.gain
    assert found.reason == "only 0 interleaved runs have what is wanted of baseline; a claim needs 6"
