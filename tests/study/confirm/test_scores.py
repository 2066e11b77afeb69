from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from autotune.analysis import selection, stats
from autotune.core.estimate import Estimate
from autotune.core.results import Block, Canary, Candidate, Interference, Latency
from autotune.core.rules import Correction
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import names, outcomes, paired_comparison, scores
from tests.fake_executor import FakeExecutor
from tests.study.confirm.comparing import AMPLE_S, CONFIGS, CONFIRM, PAIR, run, toy, until


def rates(folder: Path, fails: Callable[[str, InterleavedSpec], int | None], count: int = 3) -> scores.ScoreTable:
    found = toy(folder)
    return scores.table(run(found, FakeExecutor(folder, noise=0, fails=fails), until(count)), list(CONFIGS), 0.95)


def width(one: Estimate) -> float:
    assert one.low is not None and one.high is not None
    return one.high - one.low


def test_a_ratio_is_over_the_rounds_that_both_have(tmp_path: Path) -> None:
    found = rates(tmp_path, lambda name, spec: 2 if name == "b" and spec.number == 1 else None)
    ratio = found.ratio("b", "a")
    assert ratio is not None
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx([1.16 / 1.02] * 3)
    assert found.counts("b", "a") == (3, 2 + 8 + 8)
    assert found.counts("a", "c") == (3, 2 + 8 + 8)
    assert {name: len(logs) for name, logs in found.rounds(["a", "b", "c"]).items()} == dict.fromkeys("abc", 18)
    assert {len(logs) for logs in found.rounds(["a", "c"]).values()} == {18}


def test_what_was_never_measured_together_has_no_ratio(tmp_path: Path) -> None:
    found = rates(tmp_path, lambda name, spec: 0 if name == "b" else None)
    assert found.ratio("a", "b") is None
    assert found.difference("a", "b").low is None
    assert found.counts("a", "b") == (0, 0)
    assert scores.table([], ["a", "b"], 0.95).ratio("a", "b") is None


def test_one_run_has_an_interval_as_wide_as_runs_usually_differ(tmp_path: Path) -> None:
    found = rates(tmp_path, lambda name, spec: None, count=1).difference("c", "a")
    assert found.low is not None and found.high is not None
    half = 2.77645 * math.sqrt(scores.FIRST.value)  # t of 4 degrees of freedom
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half), rel=1e-3)


def table(**logs: Sequence[Sequence[float]]) -> scores.ScoreTable:
    """One round in each run; none is an empty one."""
    return scores.ScoreTable(logs=logs, confidence=0.95)


def test_a_pair_alone_has_the_interval_of_its_own_runs() -> None:
    a, b = [[0.1], [0.3], [0.2]], [[0.0], [0.0], [0.0]]
    assert table(a=a, b=b).difference("a", "b") == stats.mean([0.1, 0.3, 0.2], 0.95)


def test_the_others_of_the_runs_say_how_much_a_pair_differs() -> None:
    """By chance a and b differ by the same in both runs; c and d show that candidates do not."""
    a, b = [[0.1], [0.1]], [[0.0], [0.0]]
    c, d = [[0.0], [0.2]], [[0.2], [0.0]]
    found = table(a=a, b=b, c=c, d=d).difference("a", "b")
    noise = selection.block_design([[0.1, 0.1], [0.0, 0.0], [0.0, 0.2], [0.2, 0.0]]).noise
    assert noise.df == 3
    assert found == stats.moderated_mean([0.1, 0.1], 0.95, noise.value, 2)
    assert found.low is not None and found.low < 0


def test_a_noisy_baseline_makes_no_other_pair_uncertain() -> None:
    """Two candidates that hardly differ, beside a baseline that a neighbour slows by up to a third."""
    slowed = (0.0, -0.3, -0.1, -0.4, 0.0, -0.2)
    logs = {"a": [[5.0 + 0.002 * i] for i in range(6)], "b": [[5.01 - 0.002 * i] for i in range(6)]}
    table = scores.ScoreTable({**logs, names.BASELINE: [[2.0 + by] for by in slowed]}, 0.95)
    alone = scores.ScoreTable(logs, 0.95)
    assert table.difference("a", "b") == alone.difference("a", "b")
    assert width(table.difference("a", names.BASELINE)) > 10 * width(table.difference("a", "b"))


def test_the_level_of_one_that_missed_the_slow_run_is_not_flattered() -> None:
    """The second run was slow for all; a is slower than b in the run that both have."""
    found = table(a=[[0.9], []], b=[[1.0], [0.5]], c=[[0.8], [0.3]])
    assert found.level("b") > found.level("a") > found.level("c")
    assert found.level("b") - found.level("c") == pytest.approx(0.2)
    assert table(a=[[]], b=[[1.0]]).level("a") == -math.inf


def test_a_difference_goes_by_way_of_others_where_no_run_has_both() -> None:
    a, b, c = [[1.0], [1.2], [], []], [[0.5], [0.7], [0.4], [0.6]], [[], [], [0.1], [0.3]]
    found = table(a=a, b=b, c=c, d=[[], [], [], []])
    difference = found.difference("a", "c")
    assert difference.estimate == pytest.approx(0.8)
    assert difference.low is not None and difference.high is not None
    assert difference.low < 0.8 < difference.high
    assert found.counts("a", "c") == (0, 0)
    for nothing in (found.difference("a", "d"), table(a=[[1.0], []], b=[[], [1.0]]).difference("a", "b")):
        assert math.isnan(nothing.estimate) and nothing.low is nothing.high is None


def test_runs_that_have_both_count_before_any_way_by_others() -> None:
    """By way of b the difference would be another one."""
    found = table(a=[[1.0], [1.0], []], b=[[], [0.0], [0.0]], c=[[0.9], [], [0.5]])
    assert found.difference("a", "c").estimate == pytest.approx(0.1)
    assert found.link("a", "c") is None


def test_a_way_with_more_runs_than_the_two_have_together_counts_until_they_have_three() -> None:
    """The squares of the half-widths of both steps add up; the baseline is no step where some run has both."""
    a, b = [[1.0], [1.2], [1.1], [], [], [], [1.5]], [[0.5], [0.8], [0.6], [0.4], [0.7], [0.6], []]
    logs = {"a": a, "b": b, "c": [[], [], [], [0.1], [0.3], [0.2], [0.5]]}
    found = table(**logs)
    steps = found.difference("a", "b"), found.difference("b", "c")
    whole = found.difference("a", "c")
    assert (found.link("a", "c"), found.counts("a", "c")) == ("b", (1, 1))
    assert whole.estimate == pytest.approx(steps[0].estimate + steps[1].estimate)
    assert width(whole) == pytest.approx(math.hypot(width(steps[0]), width(steps[1])))
    assert table(a=a, baseline=b, c=logs["c"]).link("a", "c") is None
    assert table(a=a[:6], baseline=b[:6], c=logs["c"][:6]).link("a", "c") == "baseline"
    assert table(a=[*a, [1.0], [1.0]], b=[*b, [], []], c=[*logs["c"], [0.0], [0.0]]).link("a", "c") is None


def test_runs_that_have_both_may_refute_a_way() -> None:
    a, b = [[1.0], [1.02], [0.98], [], [], []], [[0.5], [0.49], [0.51], [0.5], [0.51], [0.49]]
    c = [[], [], [], [0.1], [0.08], [0.12]]
    assert table(a=a, b=b, c=c).agrees("a", "c")
    assert table(a=[*a, [1.0]], b=[*b, []], c=[*c, [0.12]]).agrees("a", "c")
    assert not table(a=[*a, [1.0]], b=[*b, []], c=[*c, [0.5]]).agrees("a", "c")


# -------------------------------------------------------------------------------------- by objective


def test_a_block_is_scored_by_the_objective() -> None:
    calls = Latency(calls=10, p50_ms=20.0, p90_ms=40.0, p95_ms=45.0, p99_ms=50.0)
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=2 * 10**9)
    candidate = Candidate(config=CONFIGS["a"], blocks=(block,), latencies=(calls,), peak_rss_bytes=1000, setup_s=2.5)

    def score(objective: str) -> float:
        (found,) = scores.scores(candidate, objective, Correction())
        return math.exp(found)

    assert score("throughput") == score("cost_per_million") == pytest.approx(8.0)
    assert score("latency_p99_ms") == pytest.approx(1 / 50)
    assert score("latency_p50_ms") == pytest.approx(1 / 20)
    assert score("cpu_s_per_sample") == pytest.approx(4.0)
    assert score("peak_rss_bytes") == pytest.approx(1 / 1000)
    assert score("setup_s") == pytest.approx(1 / 2.5)


def test_a_block_in_which_no_call_ended_took_as_long_as_it_was() -> None:
    block = Block(start_ns=0, elapsed_ns=10**9, items=0.5, calls=0, cpu_ns=1)
    candidate = Candidate(config=CONFIGS["a"], blocks=(block,), latencies=(None,))
    (found,) = scores.scores(candidate, "latency_p50_ms", Correction())
    assert math.exp(-found) == pytest.approx(1000)


def test_a_latency_is_freed_of_drift_as_a_rate_is() -> None:
    """The machine ran at half its speed: the call would have taken half as long."""
    calls = Latency(calls=10, p50_ms=20.0, p90_ms=20.0, p95_ms=20.0, p99_ms=20.0)
    canary = Canary(cores=1, compute=0.5, memory=1.0, scalar=1.0)
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=1, canary=canary)
    candidate = Candidate(config=CONFIGS["a"], blocks=(block,), latencies=(calls,))
    usual = Correction(slopes={"compute": 1.0}, centres={1: {"compute": 0.0, "memory": 0.0, "scalar": 0.0}})
    (found,) = scores.scores(candidate, "latency_p50_ms", usual)
    assert math.exp(-found) == pytest.approx(10)


def test_a_run_says_what_was_compared(tmp_path: Path) -> None:
    (found,) = run(toy(tmp_path, objective="peak_rss_bytes"), FakeExecutor(tmp_path), until(1))
    assert found.spec.objective == "peak_rss_bytes"
    difference = scores.table([found], list(CONFIGS), 0.95).difference("c", "a")
    assert difference.estimate == 0.0
    assert scores.table([found], list(CONFIGS), 0.95, "throughput").difference("c", "a").estimate > 0.1


def test_after_a_failure_only_what_blocks_show_is_known() -> None:
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=2 * 10**9)
    calls = Latency(calls=10, p50_ms=20.0, p90_ms=40.0, p95_ms=45.0, p99_ms=50.0)
    broken = Candidate(config=CONFIGS["a"], blocks=(block, block), error="it broke")
    for objective in ("latency_p99_ms", "peak_rss_bytes", "setup_s", "artifact_bytes"):
        assert scores.scores(broken, objective, Correction()) == []
    for objective in ("throughput", "cpu_s_per_sample"):
        assert len(scores.scores(broken, objective, Correction())) == 2
    late = Candidate(
        config=CONFIGS["a"], blocks=(block, block), latencies=(calls, calls), error="it broke while it ended"
    )
    assert len(scores.scores(late, "latency_p99_ms", Correction())) == 2


def test_a_candidate_that_failed_takes_no_part_in_a_comparison_for_its_memory(tmp_path: Path) -> None:
    found = toy(tmp_path, objective="peak_rss_bytes", configs=PAIR)
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 2 if name == "b" and spec.number == 1 else None)
    runs = paired_comparison.compare(
        found, executor, lambda found: set(PAIR) if len(found) < 3 else set(), AMPLE_S, AMPLE_S, True
    )
    rates = scores.table(runs, list(PAIR), 0.95)
    assert rates.counts("a", "b") == (2, 2)
    assert outcomes.complete(runs, list(PAIR)) == 2
    assert outcomes.shared(runs, "a", "b") == 3


def test_a_figure_that_a_block_lacks_is_that_of_no_block() -> None:
    known = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=1, interference=Interference(energy_j=4.0))
    unknown = msgspec.structs.replace(known, interference=None)
    candidate = Candidate(config=CONFIGS["a"], blocks=(known, known))
    assert scores.scores(candidate, "energy_j_per_sample", Correction()) == pytest.approx([math.log(2)] * 2)
    candidate = msgspec.structs.replace(candidate, blocks=(known, unknown))
    assert scores.scores(candidate, "energy_j_per_sample", Correction()) == []


@pytest.mark.parametrize("objective", ["peak_rss_bytes", "setup_s", "artifact_bytes"])
def test_what_a_start_has_once_is_no_round(tmp_path: Path, objective: str) -> None:
    runs = run(toy(tmp_path, objective=objective), FakeExecutor(tmp_path), until(4))
    assert scores.table(runs, ["a"], 0.95).counts("a", "a") == (4, 4)
    assert [one.spec.rounds for one in runs][1:] == [CONFIRM.least_rounds] * 3


def test_nothing_prepared_counts_as_a_byte() -> None:
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=1)
    assert scores.scores(Candidate(config=CONFIGS["a"], blocks=(block,)), "artifact_bytes", Correction()) == [0.0]
