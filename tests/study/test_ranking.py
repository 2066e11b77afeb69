from __future__ import annotations

import math
import operator
import random
from collections.abc import Sequence

import msgspec
import pytest

from autotune.core.results import Canary, Served, Status, TrialResult
from autotune.core.space_types import Goal, Limit, Price
from autotune.core.specs import TrialSpec
from autotune.study.ranking import DISTURBED_NOISE, Ranking, undominated
from tests.fake_executor import measured
from tests.study.fakes import WORKLOAD, machine, plain

HW = machine()


def result(number: int, rate: float, *, status: Status = Status.OK, feasible: bool = True) -> TrialResult:
    spec = TrialSpec(id=number, workload=WORKLOAD, config=plain(HW, number + 1), folder=f"trials/{number:05}")
    return measured(spec, rate, status=status, feasible=feasible)


def test_rate_is_the_geometric_mean_of_the_blocks() -> None:
    found = result(0, 4.0)
    (block, _) = found.blocks
    mixed = msgspec.structs.replace(found, blocks=(block, msgspec.structs.replace(block, items=9.0)))
    assert Ranking([mixed], Goal()).rate(mixed) == pytest.approx(6.0)


def test_only_complete_and_feasible_trials_can_be_best() -> None:
    results = [
        result(0, 10.0),
        result(1, 30.0, status=Status.REJECTED),
        result(2, 40.0, feasible=False),
        msgspec.structs.replace(result(3, 1.0, status=Status.CRASHED), blocks=()),
        result(4, 20.0),
        result(5, 20.0),
    ]
    ranking = Ranking(results, Goal())
    assert [found.spec.id for found in ranking.order()] == [4, 5, 0]
    assert ranking.best is results[4]
    assert ranking.incumbent == pytest.approx(20.0)
    assert Ranking(results[1:4], Goal()).best is None
    assert Ranking([], Goal()).incumbent is None


def test_the_baseline_is_the_trial_that_measured_it() -> None:
    failed = msgspec.structs.replace(result(0, 1.0, status=Status.CRASHED), blocks=())
    good = msgspec.structs.replace(result(3, 5.0), spec=msgspec.structs.replace(failed.spec, id=3))
    assert Ranking([failed, result(1, 9.0), good], Goal()).baseline(plain(HW)) is good
    assert Ranking([failed, result(1, 9.0)], Goal()).baseline(plain(HW)) is None


def test_the_noise_of_a_trial_grows_with_its_disturbed_share() -> None:
    plain_one = result(0, 9.0)
    busy = tuple(msgspec.structs.replace(block, disturbances=("others",)) for block in plain_one.blocks)
    ranking = Ranking([plain_one], Goal())
    expected = math.hypot(ranking.noise(plain_one), DISTURBED_NOISE)
    assert ranking.noise(msgspec.structs.replace(plain_one, blocks=busy)) == pytest.approx(expected)


def test_of_two_trials_of_the_baseline_the_less_disturbed_one_counts_of_equals_the_faster() -> None:
    def again(number: int, rate: float, *disturbed: bool) -> TrialResult:
        found = result(0, rate)
        gates = [("others",) if one else () for one in disturbed]
        blocks = tuple(msgspec.structs.replace(found.blocks[0], disturbances=one) for one in gates)
        return msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, id=number), blocks=blocks)

    def counted(*results: TrialResult) -> int:
        ranking = Ranking([*results, result(1, 9.0)], Goal())
        assert [one.spec.id for one in ranking.order() if one.spec.config == plain(HW)] == [
            one.spec.id for one in ranking.distinct if one.spec.config == plain(HW)
        ]
        found = ranking.baseline(plain(HW))
        assert found is not None
        return found.spec.id

    assert counted(again(0, 50.0, True, True), again(5, 5.0, True, False)) == 5
    assert counted(again(0, 5.0, True, False), again(5, 50.0, True, True)) == 0
    assert counted(again(0, 5.0, True), again(5, 6.0, True)) == 5
    assert counted(again(0, 6.0, True), again(5, 5.0, True)) == 0
    assert counted(again(0, 6.0, False), again(5, 5.0, True, True)) == 5  # one block alone has no interval


def drifting(number: int, rate: float, speeds: Sequence[float]) -> TrialResult:
    """A trial of which every block follows the machine's speed, as its canary does."""
    (block, _) = (found := result(number, rate)).blocks
    blocks = tuple(
        msgspec.structs.replace(
            block, items=rate * speed, canary=Canary(cores=1, compute=speed, memory=speed, scalar=speed)
        )
        for speed in speeds
    )
    return msgspec.structs.replace(found, blocks=blocks)


def test_a_slow_machine_is_no_slow_trial() -> None:
    draw = random.Random(0)
    usual = [drifting(i, 10.0 + i, [draw.uniform(0.8, 1.25) for _ in range(12)]) for i in range(5)]
    slowed = drifting(5, 30.0, [draw.uniform(0.4, 0.6) for _ in range(12)])
    ranking = Ranking([*usual, slowed], Goal())
    assert ranking.best is slowed
    assert Ranking([slowed], Goal()).rate(slowed) < 20
    assert ranking.ratio(slowed, usual[0]).estimate == pytest.approx(3, rel=0.1)
    assert ranking.interval(slowed).estimate == ranking.rate(slowed)


def test_two_windows_have_a_ratio_with_an_interval() -> None:
    base, fast = result(0, 10.0), result(1, 25.0)
    found = Ranking([base, fast], Goal()).ratio(fast, base)
    assert (found.estimate, found.low, found.high) == pytest.approx((2.5, 2.5, 2.5))


# ------------------------------------------------------------------------------------------------------- other goals


def with_memory(number: int, rate: float, megabytes: int) -> TrialResult:
    return msgspec.structs.replace(result(number, rate), peak_rss_bytes=megabytes * 2**20)


def test_the_best_is_that_of_the_objective() -> None:
    results = [with_memory(0, 10.0, 300), with_memory(1, 20.0, 500), with_memory(2, 5.0, 100)]
    order = {
        name: [found.spec.id for found in Ranking(results, Goal(objectives=(name,))).order()]
        for name in ("throughput", "peak_rss_bytes", "cpu_s_per_sample")
    }
    assert order == {"throughput": [1, 0, 2], "peak_rss_bytes": [2, 0, 1], "cpu_s_per_sample": [1, 0, 2]}
    cheap = Ranking(results, Goal(objectives=("cost_per_million",), price=Price(per_hour=1.0)))
    assert [found.spec.id for found in cheap.order()] == [1, 0, 2]
    assert cheap.incumbent == pytest.approx(20.0)


def test_where_not_the_rate_decides_no_trial_is_held_against_a_rate() -> None:
    results = [with_memory(0, 10.0, 300), with_memory(1, 20.0, 500)]
    assert Ranking(results, Goal(objectives=("peak_rss_bytes",))).incumbent is None
    assert Ranking(results, Goal(objectives=("throughput", "peak_rss_bytes"))).incumbent is None


def test_a_front_has_its_knee_first_then_its_ends() -> None:
    beaten, twin = with_memory(4, 9.0, 150), with_memory(5, 20.0, 400)
    results = [
        with_memory(0, 5.0, 100),
        with_memory(1, 18.0, 110),
        with_memory(2, 20.0, 400),
        with_memory(3, 19.0, 200),
        beaten,
        twin,
    ]
    ranking = Ranking(results, Goal(objectives=("throughput", "peak_rss_bytes")))
    assert [found.spec.id for found in ranking.order()] == [1, 2, 0, 3]
    assert ranking.best is results[1]


def test_what_is_beaten_in_every_score_is_dominated() -> None:
    draw = random.Random(0)
    scores = [(draw.randint(0, 8), draw.randint(0, 8), draw.randint(0, 8)) for _ in range(300)]

    def beaten(place: int) -> bool:
        """True if another is at least as good in all; of equals the earlier one."""
        better = [all(map(operator.ge, other, scores[place])) for other in scores]
        return any(better[i] and (scores[i] != scores[place] or i < place) for i in range(len(scores)))

    assert undominated(scores) == [place for place in range(len(scores)) if not beaten(place)]
    assert undominated([]) == []


def test_what_is_known_of_a_trial_is_its_own() -> None:
    """Also of one that is gone, and of one that the ranking does not hold."""
    ranking = Ranking([result(0, 10.0)], Goal())
    assert [ranking.rate(result(1, float(rate))) for rate in range(1, 50)] == pytest.approx(list(range(1, 50)))
    assert ranking.known(ranking.results[0])["throughput"] == pytest.approx(10.0)


def test_a_single_trial_is_a_front() -> None:
    ranking = Ranking([with_memory(0, 5.0, 100)], Goal(objectives=("throughput", "peak_rss_bytes")))
    assert [found.spec.id for found in ranking.order()] == [0]
    assert Ranking([], ranking.goal).order() == []


def test_a_trial_is_feasible_if_it_keeps_every_limit() -> None:
    goal = Goal(limits=(Limit(metric="peak_rss_bytes", max=200 * 2**20), Limit(metric="throughput", min=4)))
    results = [with_memory(0, 10.0, 300), with_memory(1, 5.0, 200), with_memory(2, 3.0, 100)]
    settled = [Ranking(results, goal).settled(found) for found in results]
    assert [found.feasible for found in settled] == [False, True, False]
    ranking = Ranking(settled, goal)
    assert ranking.best is settled[1]
    failed = msgspec.structs.replace(result(3, 1.0, status=Status.CRASHED), blocks=())
    assert ranking.settled(failed) is failed


@pytest.mark.parametrize(("unjudged", "feasible"), [("accept", True), ("reject", False)])
def test_a_limit_that_cannot_be_judged_refuses_where_it_is_hard(unjudged: str, feasible: bool) -> None:
    limit = msgspec.convert({"figure": "cosine_similarity", "min": 0.99, "unjudged": unjudged}, Limit)
    results = [result(0, 10.0)]
    settled = Ranking(results, Goal(limits=(limit,))).settled(results[0])
    assert settled.feasible is feasible
    assert (Ranking([settled], Goal(limits=(limit,))).best is settled) is feasible


def test_where_nothing_keeps_the_limits_the_nearest_is_named() -> None:
    goal = Goal(limits=(Limit(metric="peak_rss_bytes", max=100 * 2**20),))
    results = [with_memory(0, 10.0, 300), with_memory(1, 5.0, 120), with_memory(2, 3.0, 150)]
    ranking = Ranking([Ranking(results, goal).settled(found) for found in results], goal)
    assert ranking.best is None
    assert ranking.nearest is ranking.results[1]
    assert Ranking([], goal).nearest is None


def test_who_keeps_no_rate_of_requests_is_not_feasible_where_one_is_wanted() -> None:
    none, some = (
        msgspec.structs.replace(result(number, 10.0), served=Served(rate=rate, probes=()))
        for number, rate in enumerate((0.0, 3.0))
    )
    wanted = Ranking([none, some], Goal(objectives=("served_rate",)))
    assert [wanted.settled(one).feasible for one in (none, some)] == [False, True]
    assert Ranking([none], Goal()).settled(none).feasible
    broken = [msgspec.structs.replace(one, feasible=False) for one in (none, some)]
    limit = Limit(metric="throughput", min=100.0)
    assert Ranking(broken, Goal(objectives=("served_rate",), limits=(limit,))).nearest == broken[1]
    assert Ranking(broken[:1], Goal(objectives=("served_rate",))).nearest == broken[0]
