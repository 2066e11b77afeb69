from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from autotune.core.confirmation import Finalist
from autotune.core.results import Latency, Status, TrialResult
from autotune.core.space_types import Price, Space
from autotune.study import evidence
from autotune.study.evidence import Evidence
from autotune.study.ranking import Ranking
from tests.report.folders import FAST, SPACE
from tests.report.made import HW, config, confirmation, estimate, result, winner

OTHER = config("openvino", 4)
RESULTS = (
    result(0, rates=(10, 10.1, 9.9)),
    result(1, FAST, rates=(40, 40.4, 39.6)),
    result(2, OTHER, rates=(20, 20.2, 19.8)),
)


def strongest(results: Sequence[TrialResult] = RESULTS, found: Any = None, space: Space = SPACE) -> Evidence:
    evident = evidence.strongest(Ranking(results, space.goal), space, HW, found)
    assert evident is not None
    return evident


def so_far(**fields: Any) -> Any:
    """Interleaved runs that are too few for a claim."""
    given = {"confirmed": False, "gain": False, "reason": "no time", "disturbed": 0.2} | fields
    return confirmation(winner(OTHER, trial=2, ratio=estimate(3.0, 1.0), throughput=estimate(30.0), runs=2), **given)


# ------------------------------------------------------------------------------------------------- order of the levels


def test_a_claim_is_the_strongest() -> None:
    claimed = winner(OTHER, trial=None)
    found = strongest(found=confirmation(claimed, disturbed=0.1))
    assert (found.level, found.config, found.rate, found.ratio) == (
        "confirmed",
        OTHER,
        claimed.throughput,
        claimed.ratio,
    )
    assert (found.disturbed, found.source, found.trial) == (0.1, claimed, None)


def test_runs_that_are_too_few_come_before_the_search_and_so_does_their_winner() -> None:
    found = strongest(found=so_far())
    assert (found.level, found.config, found.trial) == ("interleaved", OTHER, 2)
    assert (found.rate, found.ratio, found.disturbed) == (estimate(30.0), estimate(3.0, 1.0), 0.2)


def test_a_first_comparison_without_a_gain_gives_way_to_what_the_search_finds_later() -> None:
    plain = winner(result(0).spec.config, trial=0, ratio=estimate(1.0, 0.0))
    early = confirmation(
        plain, gain=False, finished=False, finalists=(Finalist(trial=2, config=OTHER, ratio=estimate(1.0)),)
    )
    assert (strongest(found=early).level, strongest(found=early).config) == ("search", FAST)
    compared = msgspec.structs.replace(
        early, finalists=(*early.finalists, Finalist(trial=1, config=FAST, ratio=estimate(1.0)))
    )
    assert strongest(found=compared).config == plain.config
    assert strongest(found=msgspec.structs.replace(early, finished=True)).config == plain.config


@pytest.mark.parametrize(
    "found",
    [
        None,
        confirmation(None, reason="no time"),
        so_far(finalists=(Finalist(trial=2, config=OTHER, ratio=estimate(3.0), broken="setup_s is 9"),)),
        msgspec.structs.replace(so_far(), winner=winner(OTHER, ratio=None)),
        msgspec.structs.replace(so_far(), winner=winner(config("openvino", interpreter="removed"))),
    ],
    ids=["none", "no run", "breaks a limit", "no baseline", "its interpreter is gone"],
)
def test_the_search_speaks_where_no_runs_can(found: Any) -> None:
    seen = strongest(found=found)
    assert (seen.level, seen.config, seen.trial, seen.source) == ("search", FAST, 1, RESULTS[1])


# ------------------------------------------------------------------------------------------------------- the search


def test_without_a_trial_there_is_no_winner() -> None:
    assert evidence.strongest(Ranking([], SPACE.goal), SPACE, HW, None) is None
    failed = [result(0), result(1, FAST, rates=(9,), feasible=False)]
    assert evidence.strongest(Ranking(failed, SPACE.goal), SPACE, HW, None) is None


def test_without_the_baseline_there_is_no_ratio() -> None:
    found = strongest([result(0), *RESULTS[1:]])
    assert found.config == FAST and found.ratio is None and found.rate.low is not None


def test_the_best_of_many_equals_is_not_believed() -> None:
    """The winner's curse: of eight configurations that are all the same, one had a lucky window."""
    same = [result(number, config("onnxruntime", 2**number), rates=(20, 21.5, 18.5)) for number in range(1, 8)]
    lucky = result(9, OTHER, rates=(23, 24.5, 21.5))
    found = strongest([RESULTS[0], *same, lucky])
    assert found.ratio is not None and found.ratio.low is not None and found.ratio.high is not None
    assert found.ratio.estimate < 2.25 and found.ratio.low < 2.0 < found.ratio.high
    assert found.rate.estimate < 22.5


def test_two_trials_have_an_interval_that_allows_for_another_start() -> None:
    found = strongest(RESULTS[:2])
    assert found.ratio is not None and found.ratio.low is not None and found.ratio.high is not None
    assert found.ratio.estimate == pytest.approx(4.0)
    assert found.ratio.low < 3.5 and found.ratio.high > 4.6


def test_a_trial_whose_interpreter_is_gone_does_not_win() -> None:
    gone = result(3, config("onnxruntime", 8, interpreter="removed"), rates=(90, 90, 90))
    assert strongest([*RESULTS, gone]).config == FAST


def test_a_claim_stands_though_its_interpreter_is_gone() -> None:
    gone = config("onnxruntime", 8, interpreter="removed")
    assert strongest(found=confirmation(winner(gone))).config == gone


def test_a_trial_that_was_given_up_does_not_win() -> None:
    slow = result(3, config("onnxruntime", 4), rates=(99, 99), status=Status.REJECTED)
    assert strongest([*RESULTS, slow]).config == FAST


# --------------------------------------------------------------------------------------------------- other objectives


def test_a_rate_is_samples_a_second_whatever_is_paid_for_it() -> None:
    space = msgspec.structs.replace(SPACE, objective="cost_per_million", price=Price(per_hour=0.36))
    found, plain = strongest(space=space), strongest()
    assert found.ratio is not None and plain.ratio is not None
    assert found.rate.estimate == pytest.approx(plain.rate.estimate)
    assert found.ratio.estimate == pytest.approx(plain.ratio.estimate)


def latency(one: TrialResult, p50_ms: float) -> TrialResult:
    times = Latency(calls=50, p50_ms=p50_ms, p90_ms=9.0, p95_ms=9.0, p99_ms=9.0, backed="p90")
    return msgspec.structs.replace(one, latency=times)


def test_a_ratio_of_latencies_is_above_one_for_less() -> None:
    space = msgspec.structs.replace(SPACE, objective="latency_p50_ms")
    timed = [latency(one, ms) for one, ms in zip(RESULTS, (8.0, 4.0, 2.0), strict=True)]
    found = strongest(timed, space=space)
    assert found.config == OTHER and found.ratio is not None and found.ratio.low is not None
    assert 2.5 < found.ratio.estimate < 4.5
    assert found.rate.estimate == pytest.approx(20.0), "the window's: the latency alone is the model's matter"


def test_a_baseline_without_a_backed_latency_leaves_no_ratio() -> None:
    space = msgspec.structs.replace(SPACE, objective="latency_p50_ms")
    found = strongest([RESULTS[0], latency(RESULTS[1], 4.0)], space=space)
    assert found.config == FAST and found.ratio is None


def test_of_several_objectives_the_knee_has_its_windows() -> None:
    space = msgspec.structs.replace(SPACE, objective=("throughput", "peak_rss_bytes"))
    sized = [msgspec.structs.replace(one, peak_rss_bytes=size) for one, size in zip(RESULTS, (9, 8, 9), strict=True)]
    ranking = Ranking(sized, space.goal)
    found = strongest(sized, space=space)
    assert found.config == FAST and found.rate == ranking.interval(sized[1])
    assert found.ratio == ranking.ratio(sized[1], sized[0])
    by_memory = strongest(sized, space=msgspec.structs.replace(space, objective=("peak_rss_bytes", "throughput")))
    assert by_memory.ratio is not None
    assert (by_memory.ratio.estimate, by_memory.ratio.low) == (pytest.approx(9 / 8), None)


# ---------------------------------------------------------------------------------------------------------- disturbed


def disturbed(one: TrialResult, count: int) -> TrialResult:
    blocks = (msgspec.structs.replace(one.blocks[i], disturbances=("others",) * (i < count)) for i in range(3))
    return msgspec.structs.replace(one, blocks=tuple(blocks))


@pytest.mark.parametrize(
    ("counts", "share"), [((0, 0, 3), 0.0), ((0, 1, 0), 1 / 3), ((2, 0, 0), 2 / 3), ((2, 1, 0), 2 / 3)]
)
def test_the_winners_and_the_baselines_disturbed_blocks_count(counts: tuple[int, ...], share: float) -> None:
    results = [disturbed(one, count) for one, count in zip(RESULTS, counts, strict=True)]
    assert strongest(results).disturbed == pytest.approx(share)


def test_disturbed_blocks_widen_the_interval_that_the_search_alone_gives() -> None:
    """A baseline beside a busy neighbour gave 96.8 times (51 to 184), and was no slower than before: 3 times."""

    def width(count: int) -> float:
        ratio = strongest([disturbed(RESULTS[0], count), *RESULTS[1:]]).ratio
        assert ratio is not None and ratio.low is not None and ratio.high is not None
        return math.log(ratio.high / ratio.low)

    assert width(0) < width(1) < width(3)


def test_the_posterior_of_a_ranking_is_computed_once() -> None:
    ranking = Ranking(RESULTS, SPACE.goal)
    known = evidence.posterior(ranking, SPACE, HW)
    assert known is not None and evidence.posterior(ranking, SPACE, HW) is known
    assert evidence.posterior(Ranking(RESULTS, SPACE.goal), SPACE, HW) is not known


def test_the_ratio_of_any_two_trials() -> None:
    ranking = Ranking(RESULTS, SPACE.goal)
    known = evidence.posterior(ranking, SPACE, HW)
    there, back = evidence.ratio(*RESULTS[1:], ranking, known), evidence.ratio(*RESULTS[:0:-1], ranking, known)
    assert there is not None and back is not None and there.low is not None and back.high is not None
    assert math.log(there.estimate) == pytest.approx(-math.log(back.estimate))
    assert there.low == pytest.approx(1 / back.high)
