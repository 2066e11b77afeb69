from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Block, Candidate, InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.core.space_types import Goal, Limit
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import decision
from autotune.study.confirm.aggregate import Limits
from autotune.study.confirm.decision import BASELINE, Running
from tests.report.made import PLAIN, config, result
from tests.study.fakes import WORKLOAD

RULES = ConfirmRules(first_stage=4)
FINALISTS = {
    "trial-1": result(1, config(batch_size=2), rates=(20, 20)),
    "trial-2": result(2, config(batch_size=4), rates=(15, 15)),
    BASELINE: result(0, PLAIN, rates=(10, 10)),
}
CONFIGS = decision.configs_by_name(FINALISTS)
ANY = Limits(Path(), Goal(), RULES.confidence)


def block(rate: float) -> Block:
    return Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9)


def run(number: int, **rates: float | None) -> InterleavedRun:
    """Two rounds of slightly different blocks; None is a failure."""
    named = {name.replace("_", "-"): rate for name, rate in rates.items()}
    spec = InterleavedSpec(
        number=number,
        workload=WORKLOAD,
        configs={name: CONFIGS[name] for name in named},
        rounds=2,
        order="",
        folder=f"confirmation/a/{number:04d}",
    )
    candidates = {
        name: Candidate(config=CONFIGS[name], error="it broke")
        if rate is None
        else Candidate(config=CONFIGS[name], blocks=(block(rate), block(rate * 1.001)))
        for name, rate in named.items()
    }
    return InterleavedRun(spec=spec, candidates=candidates, start_s=1.0, wall_s=3.0, started="", fingerprint="")


ALL = {"trial_1": 20.0, "trial_2": 15.0, "baseline": 10.0, "trial_1_again": 20.0}


def test_the_leader_sits_twice() -> None:
    assert list(CONFIGS) == ["trial-1", "trial-2", BASELINE, "trial-1-again"]
    assert CONFIGS["trial-1"] == CONFIGS["trial-1-again"]


def test_nobody_is_dropped_before_the_first_stage_is_over() -> None:
    assert decision.selected([run(1, **ALL)], list(FINALISTS), RULES, ANY) == set(FINALISTS)
    assert decision.selected([run(1, **ALL), run(2, **ALL)], list(FINALISTS), RULES, ANY) == {"trial-1"}


def test_one_that_was_dropped_never_comes_back() -> None:
    few = {name: ALL[name] for name in ("trial_1", "baseline")}
    late = msgspec.structs.replace(RULES, first_stage=100)
    assert decision.selected([run(1, **ALL), run(2, **few)], list(FINALISTS), late, ANY) == {
        "trial-1",
        BASELINE,
    }


def test_the_winner_and_the_baseline_sit_until_a_claim_has_its_runs() -> None:
    running = Running(FINALISTS, RULES, ANY)
    assert running([]) == set(CONFIGS)
    runs = [run(number, **ALL) for number in range(1, RULES.runs)]
    assert running(runs) == {"trial-1", BASELINE, "trial-1-again"}
    assert running([*runs, run(RULES.runs, **ALL)]) == set()


def test_a_run_in_which_the_winner_failed_does_not_count() -> None:
    runs = [run(number, **ALL) for number in range(1, RULES.runs)]
    assert Running(FINALISTS, RULES, ANY)([*runs, run(RULES.runs, **{**ALL, "trial_1": None})])


@pytest.mark.parametrize("rates", [{**ALL, "baseline": None}, {**ALL, "baseline": 30.0}])
def test_without_a_question_nobody_sits(rates: dict[str, float | None]) -> None:
    """The baseline fails, or nothing else is left in the running."""
    assert Running(FINALISTS, RULES, ANY)([run(1, **rates), run(2, **rates)]) == set()


# ------------------------------------------------------------------------------------------------------------- limits


def limits(**bounds: float) -> Limits:
    """At most so much of each figure."""
    found = tuple(Limit(metric=name, max=most) for name, most in bounds.items())
    return Limits(Path(), Goal(limits=found), RULES.confidence)


def with_memory(number: int, **megabytes: int) -> InterleavedRun:
    """An interleaved run at the usual rates; the others use 100 MB."""
    found = run(number, **ALL)
    named = {name.replace("_", "-"): size for name, size in megabytes.items()}
    candidates = {
        name: msgspec.structs.replace(candidate, peak_rss_bytes=named.get(name, 100) * 2**20)
        for name, candidate in found.candidates.items()
    }
    return msgspec.structs.replace(found, candidates=candidates)


SMALL = limits(peak_rss_bytes=200 * 2**20)


def test_what_breaks_a_limit_is_out_of_the_running() -> None:
    runs = [with_memory(number, trial_1=500) for number in (1, 2)]
    assert decision.selected(runs, list(FINALISTS), RULES, SMALL) == {"trial-2"}
    found = decision.choose(
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
    assert decision.choose(runs, FINALISTS, PLAIN, RULES, ANY).name == BASELINE
    heavy = []
    for one in runs:
        candidates = {
            name: msgspec.structs.replace(candidate, peak_rss_bytes=(9 if name == BASELINE else 1) * 2**27)
            for name, candidate in one.candidates.items()
        }
        heavy.append(msgspec.structs.replace(one, candidates=candidates))
    found = decision.choose(heavy, FINALISTS, PLAIN, RULES, SMALL)
    assert (found.name, found.gain, found.reason) == ("trial-1", False, None)


def test_nothing_is_claimed_where_every_finalist_breaks_a_limit() -> None:
    runs = [with_memory(number, trial_1=500, trial_2=500, baseline=500) for number in range(1, 7)]
    found = decision.choose(runs, FINALISTS, PLAIN, RULES, SMALL)
    assert not found.gain
    assert found.reason is not None and "no finalist kept the limits while it was confirmed" in found.reason
    assert Running(FINALISTS, RULES, SMALL)(runs[:1]) == set()


def test_with_several_objectives_all_sit_and_the_knee_of_the_search_wins() -> None:
    several = Limits(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    runs = [with_memory(number, trial_1=50, trial_2=25) for number in range(1, 7)]
    assert Running(FINALISTS, RULES, several)(runs[:5]) == set(CONFIGS)
    assert Running(FINALISTS, RULES, several)(runs) == set()
    found = decision.choose(runs, FINALISTS, PLAIN, RULES, several)
    assert (found.name, found.gain) == ("trial-1", True)
    ratios = {name: round(one.estimate, 2) for name, one in found.finalists[1].ratios.items()}
    assert ratios == {"throughput": 1.5, "peak_rss_bytes": 4.0}


def test_each_of_several_objectives_is_held_to_its_own_noise_and_part_of_the_confidence() -> None:
    """The rates of the leader and its twin differ wildly; its memory does not, and is what it gains."""
    several = Limits(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
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
    found = decision.choose(runs, FINALISTS, PLAIN, RULES, several)
    assert found.noise_floor is not None and found.noise_floor > 0.4
    assert (found.name, found.gain) == ("trial-1", True)
    wide = msgspec.structs.replace(
        runs[0],
        candidates=runs[0].candidates
        | {"trial-1": Candidate(config=CONFIGS["trial-1"], blocks=(block(30.0), block(30.0)))},
    )
    rows = [wide, *runs[1:]]
    alone = decision.choose(rows, FINALISTS, PLAIN, RULES, ANY).finalists[0].ratio
    both = decision.choose(rows, FINALISTS, PLAIN, RULES, several).finalists[0].ratio
    assert alone is not None and both is not None and alone.low is not None and both.low is not None
    assert both.low < alone.low and both.estimate == alone.estimate


def test_a_gain_in_no_objective_is_none() -> None:
    several = Limits(Path(), Goal(objectives=("throughput", "peak_rss_bytes")), RULES.confidence)
    level = dict.fromkeys(ALL, 10.0)
    runs = []
    for number in range(1, 7):
        one = run(number, **level)
        candidates = {
            name: msgspec.structs.replace(candidate, peak_rss_bytes=100) for name, candidate in one.candidates.items()
        }
        runs.append(msgspec.structs.replace(one, candidates=candidates))
    found = decision.choose(runs, FINALISTS, PLAIN, RULES, several)
    assert (found.name, found.gain) == (BASELINE, False)


def test_runs_without_the_figure_are_no_claim() -> None:
    memory = Limits(Path(), Goal(objectives=("peak_rss_bytes",)), RULES.confidence)
    found = decision.choose([run(number, **ALL) for number in range(1, 7)], FINALISTS, PLAIN, RULES, memory)
    assert not found.gain
    assert found.reason == "only 0 interleaved runs have what is wanted of baseline; a claim needs 6"
