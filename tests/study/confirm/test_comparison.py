from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.errors import StudyError
from autotune.core.results import Block, Canary, Candidate, Interference, InterleavedRun, Latency
from autotune.core.rules import ConfirmRules, Correction, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import comparison
from autotune.study.confirm.comparison import PairedComparison
from tests.fake_executor import FakeExecutor
from tests.study.fakes import WORKLOAD, machine, plain

HW = machine()
RULES, CONFIRM = MeasureRules(), ConfirmRules()
CONFIGS = {"a": plain(HW), "b": plain(HW, 8), "c": plain(HW, 16)}
PAIR = {name: CONFIGS[name] for name in "ab"}
AMPLE_S = 1e6


def toy(folder: Path, **fields: Any) -> PairedComparison:
    given = {"name": "toy", "root": folder, "workload": WORKLOAD, "configs": CONFIGS, "rules": RULES}
    return PairedComparison(**given | {"confirm": CONFIRM} | fields)


def until(count: int) -> comparison.Keep:
    """All sit so many times."""
    return lambda runs: set(CONFIGS) if len(runs) < count else set()


def run(
    found: PairedComparison,
    interleave: FakeExecutor,
    keep: comparison.Keep,
    seconds: float = AMPLE_S,
    limit_s: float = AMPLE_S,
    together: bool = True,
) -> list[InterleavedRun]:
    return comparison.run(found, interleave, keep, seconds, limit_s, together, interleave.clock)


def measured(runs: Sequence[InterleavedRun]) -> list[tuple[int, int, str, dict[str, Candidate]]]:
    """What does not depend on how much time was left."""
    return [(one.spec.number, one.spec.rounds, one.spec.order, one.candidates) for one in runs]


# ------------------------------------------------------------------------------------------------------- on disk


def test_each_run_is_on_disk_before_the_next(tmp_path: Path) -> None:
    found, interleave = toy(tmp_path), FakeExecutor(tmp_path)
    kept: list[int] = []

    interleave.before = lambda spec, rules: kept.append(len(found.runs()))
    runs = comparison.run(found, interleave, until(4), AMPLE_S, AMPLE_S, True, interleave.clock)
    assert kept == [0, 1, 2, 3]
    assert found.runs() == runs
    assert [spec.folder for spec in interleave.runs] == [f"{found.folder}/000{number}" for number in (1, 2, 3, 4)]
    assert [spec.configs for spec in interleave.runs] == [CONFIGS] * 4


def test_a_comparison_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    whole = run(toy(tmp_path / "whole"), FakeExecutor(tmp_path / "whole"), until(8))
    found, cut = toy(tmp_path / "cut"), FakeExecutor(tmp_path / "cut", interrupt_run=4)
    with pytest.raises(KeyboardInterrupt):
        run(found, cut, until(8))
    assert len(found.runs()) == 3
    again = FakeExecutor(tmp_path / "cut")
    resumed = run(found, again, until(8))
    assert [spec.number for spec in again.runs] == [4, 5, 6, 7, 8]
    assert (again.runs[0].folder, again.runs[0].order) == (cut.runs[3].folder, cut.runs[3].order)
    assert measured(resumed) == measured(whole) == measured(found.runs())
    third = FakeExecutor(tmp_path / "cut")
    assert run(found, third, until(8)) == resumed
    assert third.runs == []


def test_another_question_has_another_folder(tmp_path: Path) -> None:
    found = toy(tmp_path)
    others = [
        toy(tmp_path, name="other"),
        toy(tmp_path, configs=PAIR),
        toy(tmp_path, configs=CONFIGS | {"c": plain(HW, 4)}),
        toy(tmp_path, workload=msgspec.structs.replace(WORKLOAD, seed=1)),
    ]
    assert len({found.folder, *(other.folder for other in others)}) == 5
    assert toy(tmp_path, configs=dict(CONFIGS)).folder == found.folder
    run(found, FakeExecutor(tmp_path), until(2))
    assert [other.runs() for other in others] == [[], [], [], []]


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', '{"format": 9}'])
def test_a_damaged_run_is_named_and_can_be_made_again(tmp_path: Path, damage: str) -> None:
    found = toy(tmp_path)
    before = run(found, FakeExecutor(tmp_path), until(4))
    path = tmp_path / found.folder / "0002" / "sitting.json"
    path.write_text(damage)
    with pytest.raises(StudyError, match=r"0002/sitting\.json (is damaged.*delete it|has format 9)"):
        run(found, FakeExecutor(tmp_path), until(4))
    path.unlink()
    again = FakeExecutor(tmp_path)
    after = run(found, again, until(4))
    assert [spec.number for spec in again.runs] == [2]
    assert [one.spec.number for one in after] == [1, 2, 3, 4]
    assert after[2:] == before[2:]
    assert found.runs() == after


# -------------------------------------------------------------------------------------------------------- failing


def test_a_configuration_that_fails_twice_sits_no_more(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 1 if name == "b" else None)
    runs = run(toy(tmp_path), interleave, until(4))
    assert ["".join(spec.configs) for spec in interleave.runs] == ["abc", "abc", "ac", "ac"]
    assert comparison.failure(runs, "b") == "a made-up crash"
    assert comparison.failure(runs, "a") is comparison.failure(runs[:1], "b") is None


def test_failing_once_is_forgiven(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "b" and spec.number == 2 else None)
    runs = run(toy(tmp_path), interleave, until(4))
    assert ["".join(spec.configs) for spec in interleave.runs] == ["abc"] * 4
    assert comparison.failure(runs, "b") is None


def test_one_alone_does_not_sit(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "b" else None)
    assert len(run(toy(tmp_path, configs=PAIR), interleave, until(9))) == comparison.ENOUGH_FAILURES
    assert run(toy(tmp_path, name="other"), interleave, lambda runs: {"a"}) == []


# ----------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("seconds", [30, 42, 54])
def test_the_time_is_spread_over_the_runs_that_a_claim_needs(tmp_path: Path, seconds: float) -> None:
    interleave = FakeExecutor(tmp_path, noise=0)
    begin = interleave.clock.now
    runs = run(toy(tmp_path, configs=PAIR), interleave, until(20), seconds)
    assert len(runs) == CONFIRM.runs
    assert seconds - 4 <= interleave.clock.now - begin <= seconds + 6  # a round of both takes 1 s, a start 2 s
    rounds = [spec.rounds for spec in interleave.runs][1:]
    assert max(rounds) - min(rounds) <= 1


def test_with_ample_time_runs_are_many_rather_than_long(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path)
    runs = run(toy(tmp_path, configs=PAIR), interleave, lambda found: set(PAIR))
    assert len(runs) == CONFIRM.most_runs
    assert interleave.runs[0].rounds == CONFIRM.first_rounds
    assert max(spec.rounds for spec in interleave.runs) <= CONFIRM.most_rounds


def test_runs_that_differ_have_few_rounds(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        return 10 * math.exp(0.3 * (spec.number % 3) * (name == "a"))

    interleave = FakeExecutor(tmp_path, candidate=behave)
    run(toy(tmp_path, configs=PAIR), interleave, until(8))
    assert [spec.rounds for spec in interleave.runs][2:] == [CONFIRM.least_rounds] * 6


def test_a_claim_may_take_longer_than_its_share_but_not_than_the_limit(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path)
    runs = run(toy(tmp_path, configs=PAIR), interleave, until(20), seconds=0)
    assert [one.spec.rounds for one in runs] == [CONFIRM.first_rounds] + [CONFIRM.least_rounds] * 5
    short = FakeExecutor(tmp_path)
    begin = short.clock.now
    runs = run(toy(tmp_path, name="short", configs=PAIR), short, until(20), seconds=0, limit_s=12)
    assert len(runs) == 3  # 5 s, 4 s, and what 3 s are enough for
    assert [spec.limit_s for spec in short.runs] == [12, 7, 3]
    assert short.clock.now - begin <= 13


def test_without_any_time_nobody_sits(tmp_path: Path) -> None:
    assert run(toy(tmp_path), FakeExecutor(tmp_path), until(20), seconds=0, limit_s=0) == []


# ------------------------------------------------------------------------------------------------ one by one


def test_what_does_not_fit_together_is_started_one_by_one(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path)
    run(toy(tmp_path), interleave, until(3), together=False)
    assert [spec.together for spec in interleave.runs] == [False] * 3


def test_what_spins_while_it_is_stopped_is_started_one_by_one(tmp_path: Path) -> None:
    interleave = FakeExecutor(tmp_path, idle_share=2 * CONFIRM.idle_share)
    run(toy(tmp_path), interleave, until(3))
    assert [spec.together for spec in interleave.runs] == [True, False, False]
    calm = FakeExecutor(tmp_path, idle_share=CONFIRM.idle_share)
    run(toy(tmp_path, name="calm"), calm, until(3))
    assert [spec.together for spec in calm.runs] == [True] * 3


# -------------------------------------------------------------------------------------------------------- reading


def rates(folder: Path, fails: Callable[[str, InterleavedSpec], int | None], count: int = 3) -> comparison.Table:
    found = toy(folder)
    return comparison.table(run(found, FakeExecutor(folder, noise=0, fails=fails), until(count)), list(CONFIGS), 0.95)


def test_a_ratio_is_over_the_rounds_in_which_both_sat(tmp_path: Path) -> None:
    found = rates(tmp_path, lambda name, spec: 2 if name == "b" and spec.number == 1 else None)
    ratio = found.ratio("b", "a")
    assert ratio is not None
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx([1.16 / 1.02] * 3)
    assert found.counts("b", "a") == (3, 2 + 8 + 8)
    assert found.counts("a", "c") == (3, 3 + 8 + 8)
    assert {name: len(logs) for name, logs in found.rounds(["a", "b", "c"]).items()} == dict.fromkeys("abc", 18)
    assert {len(logs) for logs in found.rounds(["a", "c"]).values()} == {19}


def test_what_never_sat_together_has_no_ratio(tmp_path: Path) -> None:
    found = rates(tmp_path, lambda name, spec: 0 if name == "b" else None)
    assert found.ratio("a", "b") is None
    assert found.difference("a", "b").low is None
    assert found.counts("a", "b") == (0, 0)
    assert comparison.table([], ["a", "b"], 0.95).ratio("a", "b") is None


def test_one_run_has_no_interval(tmp_path: Path) -> None:
    found = rates(tmp_path, lambda name, spec: None, count=1).ratio("c", "a")
    assert found is not None and (found.low, found.high) == (None, None)


# -------------------------------------------------------------------------------------------------------- objectives


def test_a_block_is_scored_by_the_objective() -> None:
    calls = Latency(calls=10, p50_ms=20.0, p90_ms=40.0, p95_ms=45.0, p99_ms=50.0)
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=2 * 10**9)
    candidate = Candidate(config=CONFIGS["a"], blocks=(block,), latencies=(calls,), peak_rss_bytes=1000, setup_s=2.5)

    def score(objective: str) -> float:
        (found,) = comparison.scores(candidate, objective, Correction())
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
    (found,) = comparison.scores(candidate, "latency_p50_ms", Correction())
    assert math.exp(-found) == pytest.approx(1000)


def test_a_latency_is_freed_of_drift_as_a_rate_is() -> None:
    """The machine ran at half its speed: the call would have taken half as long."""
    calls = Latency(calls=10, p50_ms=20.0, p90_ms=20.0, p95_ms=20.0, p99_ms=20.0)
    canary = Canary(cores=1, compute=0.5, memory=1.0, scalar=1.0)
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=1, canary=canary)
    candidate = Candidate(config=CONFIGS["a"], blocks=(block,), latencies=(calls,))
    usual = Correction(slopes={"compute": 1.0}, centres={1: {"compute": 0.0, "memory": 0.0, "scalar": 0.0}})
    (found,) = comparison.scores(candidate, "latency_p50_ms", usual)
    assert math.exp(-found) == pytest.approx(10)


def test_a_run_says_what_was_compared(tmp_path: Path) -> None:
    (found,) = run(toy(tmp_path, objective="peak_rss_bytes"), FakeExecutor(tmp_path), until(1))
    assert found.spec.objective == "peak_rss_bytes"
    difference = comparison.table([found], list(CONFIGS), 0.95).difference("c", "a")
    assert difference.estimate == 0.0
    assert comparison.table([found], list(CONFIGS), 0.95, "throughput").difference("c", "a").estimate > 0.1


def test_after_a_failure_only_what_blocks_show_is_known() -> None:
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=2 * 10**9)
    calls = Latency(calls=10, p50_ms=20.0, p90_ms=40.0, p95_ms=45.0, p99_ms=50.0)
    broken = Candidate(config=CONFIGS["a"], blocks=(block, block), error="it broke")
    for objective in ("latency_p99_ms", "peak_rss_bytes", "setup_s", "artifact_bytes"):
        assert comparison.scores(broken, objective, Correction()) == []
    for objective in ("throughput", "cpu_s_per_sample"):
        assert len(comparison.scores(broken, objective, Correction())) == 2
    late = Candidate(
        config=CONFIGS["a"], blocks=(block, block), latencies=(calls, calls), error="it broke while it ended"
    )
    assert len(comparison.scores(late, "latency_p99_ms", Correction())) == 2


def test_a_candidate_that_failed_takes_no_part_in_a_comparison_for_its_memory(tmp_path: Path) -> None:
    found = toy(tmp_path, objective="peak_rss_bytes", configs=PAIR)
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 2 if name == "b" and spec.number == 1 else None)
    runs = comparison.run(
        found, interleave, lambda found: set(PAIR) if len(found) < 3 else set(), AMPLE_S, AMPLE_S, True
    )
    rates = comparison.table(runs, list(PAIR), 0.95)
    assert rates.counts("a", "b") == (2, 2)
    assert comparison.complete(runs, list(PAIR)) == 2
    assert comparison.shared(runs, "a", "b") == 3


def test_a_figure_that_a_block_lacks_is_that_of_no_block() -> None:
    known = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=1, interference=Interference(energy_j=4.0))
    unknown = msgspec.structs.replace(known, interference=None)
    candidate = Candidate(config=CONFIGS["a"], blocks=(known, known))
    assert comparison.scores(candidate, "energy_j_per_sample", Correction()) == pytest.approx([math.log(2)] * 2)
    candidate = msgspec.structs.replace(candidate, blocks=(known, unknown))
    assert comparison.scores(candidate, "energy_j_per_sample", Correction()) == []


@pytest.mark.parametrize("objective", ["peak_rss_bytes", "setup_s", "artifact_bytes"])
def test_what_a_start_has_once_is_no_round(tmp_path: Path, objective: str) -> None:
    runs = run(toy(tmp_path, objective=objective), FakeExecutor(tmp_path), until(4))
    assert comparison.table(runs, ["a"], 0.95).counts("a", "a") == (4, 4)
    assert [one.spec.rounds for one in runs][1:] == [CONFIRM.least_rounds] * 3


def test_nothing_prepared_counts_as_a_byte() -> None:
    block = Block(start_ns=0, elapsed_ns=10**9, items=8.0, calls=4, cpu_ns=1)
    assert comparison.scores(Candidate(config=CONFIGS["a"], blocks=(block,)), "artifact_bytes", Correction()) == [0.0]
