from __future__ import annotations

import pytest

from autotune.cli.phase import Part, Search
from autotune.core.space_types import Budget
from autotune.core.specs import InterleavedSpec
from tests.study.fakes import WORKLOAD, machine, plain

EARLY = "ends early once nothing more is to be gained"


@pytest.mark.parametrize(
    ("budget", "settles", "place", "text"),
    [
        (Budget(minutes=5), True, "9", f"trial 9, {EARLY}; at most 4 min 10 s"),
        (Budget(minutes=5, trials=20), True, "9", f"trial 9, {EARLY}; at most 20 trials or 4 min 10 s"),
        (Budget(minutes=5), True, "", f"{EARLY}; at most 4 min 10 s"),
        (Budget(minutes=5), False, "9", "trial 9; at most 4 min 10 s"),
        (Budget(minutes=5), False, "", "at most 4 min 10 s"),
        (Budget(trials=20), True, "9", f"trial 9, {EARLY}; at most 20 trials"),
        (Budget(), True, "9", "trial 9, ends once nothing more is to be gained"),
        (Budget(), False, "", "ends once nothing more is to be gained"),
    ],
)
def test_the_line_of_a_search(budget: Budget, settles: bool, place: str, text: str) -> None:
    assert Search(budget, settles).line(place, 50) == f"search: {text}"


def test_what_the_confirmation_needs_is_taken_off_the_search_and_said() -> None:
    search = Search(Budget(minutes=5), True, reserved_s=90, predicted_s=90)
    assert (
        search.line("", 50) == f"search: {EARLY}; at most 2 min 40 s; at least 1 min 30 s are kept for the confirmation"
    )
    assert (search.left_s(50), search.left_s(500)) == (160, 0)
    assert "at least 2 min 30 s are" in Search(Budget(minutes=5), True, reserved_s=150, predicted_s=900).line("", 50)
    unknown = Search(Budget(minutes=5), True, reserved_s=150).line("", 50)
    assert unknown.endswith("; at least 2 min 30 s are kept for the confirmation until its time is predicted")


def test_the_part_of_a_search_that_is_over_is_that_of_the_limit_which_is_nearer() -> None:
    assert Search(Budget(minutes=5, trials=10), True).done(5, 30) == 0.5
    assert Search(Budget(minutes=5, trials=10), True, reserved_s=150).done(5, 120) == 0.8
    assert Search(Budget(trials=10), True).done(12, 30) == 1
    assert Search(Budget(), True).done(5, 30) is None


def run(number: int, rounds: int = 2) -> InterleavedSpec:
    config = plain(machine())
    return InterleavedSpec(
        number=number, workload=WORKLOAD, configs={"baseline": config}, rounds=rounds, order="", folder=""
    )


def test_a_claim_has_the_time_given_until_its_pace_tells_and_may_go_on_beyond_it() -> None:
    part = Part(1000, 100, claims=True)
    assert part.line(1000) == "confirmation: starting, up to about 1 min 40 s left"
    part.reach(run(1), 0)
    assert part.line(1010) == "confirmation: interleaved run 1 of 3 to 6, up to about 1 min 30 s left"
    part.reach(run(2), 0)
    assert part.line(1020) == "confirmation: interleaved run 2 of 3 to 6, up to about 1 min 40 s left"
    part.reach(run(4), 1)
    assert part.left_s(1070) == pytest.approx(50)
    assert part.line(1070) == "confirmation: interleaved run 4 of up to 6, up to about 50 s left"
    assert part.done(1070) == pytest.approx(70 / 120)
    part.reach(run(6), 0)
    assert part.line(1150) == "confirmation: interleaved run 6 of up to 6, up to about 30 s left"
    part.reach(run(7), 0)
    assert part.line(1180) == "confirmation: interleaved run 7"
    assert Part(1000, 60, claims=False).left_s(2000) == 0


@pytest.mark.parametrize(("claims", "kind"), [(True, "confirmation"), (False, "explaining")])
def test_runs_that_were_made_before_say_nothing_of_those_that_follow(claims: bool, kind: str) -> None:
    """Telling finalists apart after a claim of three runs needs no fourth of six: it has its own question."""
    part = Part(1000, 300, claims=claims)
    part.reach(run(4), 0)
    assert part.line(1010) == f"{kind}: interleaved run 1, up to about 4 min 50 s left"
    part.reach(run(5), 0)
    assert part.line(1040) == f"{kind}: interleaved run 2, up to about 4 min 20 s left"
