from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.apply.claim_check import ClaimCheck
from autotune.core.best import Best, Claim
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Limit
from autotune.study.confirm.names import BASELINE, WINNER
from tests.apply import made
from tests.apply.made import FAST
from tests.fake_executor import FakeExecutor, at
from tests.noise import Machine
from tests.report.made import HW, PLAIN
from tests.simulated_executor import SimulatedExecutor

PATH = Path("best.json")


def claim_check(root: Path, executor: FakeExecutor, best: Best) -> ClaimCheck:
    configs = {WINNER: best.config, BASELINE: best.baseline or PLAIN}
    return ClaimCheck(best, HW, configs, root, MeasureRules(), ConfirmRules(), executor.clock)


def verified(root: Path, ratio: float, seconds: float = 120.0, best: Best | None = None, **given: Any) -> Any:
    """The verification where the winner is so many times as fast as the baseline, and the executor."""
    executor = FakeExecutor(root, candidate=at({PLAIN: 10.0, FAST: 10.0 * ratio}), **given)
    return claim_check(root, executor, best or made.best()).compare(executor, seconds), executor


def test_a_claim_that_is_still_true_holds(tmp_path: Path) -> None:
    found, executor = verified(tmp_path, 2.0)
    assert (found.verdict, found.reasons, found.holds, found.logs) == ("holds", (), True, None)
    assert found.ratio.low < 2.0 < found.ratio.high
    assert (found.runs, len(executor.runs)) == (ConfirmRules().sure_runs, ConfirmRules().sure_runs)
    assert found.rounds == sum(spec.rounds for spec in executor.runs)
    assert found.throughput.estimate == pytest.approx(20, rel=0.02)
    assert found.baseline_throughput.estimate == pytest.approx(10, rel=0.02)
    assert found.seconds > 0 and found.claimed == made.best().measured.speedup
    assert set(executor.runs[0].configs) == {WINNER, BASELINE} and executor.runs[0].together


def test_a_gain_that_is_gone_fails(tmp_path: Path) -> None:
    found, _ = verified(tmp_path, 1.5)
    assert (found.verdict, found.holds) == ("fails", False)
    assert found.reasons == ("it lies below the claimed 1.90x less 3 %",)


def test_the_verification_of_an_older_file_says_that_its_baseline_is_a_guess(tmp_path: Path) -> None:
    assert verified(tmp_path, 2.0)[0].baseline_known
    executor = FakeExecutor(tmp_path / "older")
    assert (
        not ClaimCheck(
            made.best(baseline=None), HW, {WINNER: FAST, BASELINE: PLAIN}, executor.root, MeasureRules(), ConfirmRules()
        )
        .compare(executor, -1.0)
        .baseline_known
    )


def test_more_than_was_claimed_holds(tmp_path: Path) -> None:
    assert verified(tmp_path, 3.0)[0].holds


def test_noise_goes_on_to_the_end_of_the_time_and_is_not_resolved(tmp_path: Path) -> None:
    found, executor = verified(tmp_path, 1.9, noise=2.0)
    assert found.verdict == "unresolved" and "raise --minutes" in found.reasons[0]
    assert len(executor.runs) > ConfirmRules().sure_runs
    assert found.seconds <= 130


def test_too_little_time_is_not_resolved(tmp_path: Path) -> None:
    found, _ = verified(tmp_path, 2.0, seconds=2.0)
    assert (found.verdict, found.runs) == ("unresolved", 1)
    assert "fewer than two interleaved runs" in found.reasons[0]
    nothing, _ = verified(tmp_path / "none", 2.0, seconds=-1.0)
    assert (nothing.verdict, nothing.ratio, nothing.throughput) == ("unresolved", None, None)


def fails(name: str) -> Any:
    return lambda one, spec: 0 if one == name else None


def test_a_winner_that_does_not_run_fails_and_leaves_its_logs(tmp_path: Path) -> None:
    found, executor = verified(tmp_path, 2.0, fails=fails(WINNER))
    assert (found.verdict, found.reasons) == ("fails", ("the winner failed: a made-up crash",))
    assert (found.logs, len(executor.runs)) == (str(tmp_path), 2)


def test_without_a_baseline_nothing_is_known(tmp_path: Path) -> None:
    found, _ = verified(tmp_path, 2.0, fails=fails(BASELINE))
    assert (found.verdict, found.reasons) == ("unresolved", ("the baseline failed: a made-up crash",))


def test_a_failure_is_said_though_there_was_time_for_one_run_only(tmp_path: Path) -> None:
    found, executor = verified(tmp_path, 2.0, seconds=2.0, fails=fails(WINNER))
    assert len(executor.runs) == 1
    assert (found.verdict, found.reasons) == ("fails", ("the winner failed: a made-up crash",))


def test_a_limit_that_is_broken_fails(tmp_path: Path) -> None:
    limit = Limit(metric="peak_rss_bytes", max=2**20)
    found, _ = verified(tmp_path, 2.0, best=made.best(constraints=(limit,)))
    assert found.verdict == "fails"
    assert found.reasons == ("peak_rss_bytes is 2.684e+08, allowed at most 1.04858e+06",)


def test_costs_are_limited_by_the_price_they_were_found_with(tmp_path: Path) -> None:
    """0.10 a million at 40/s is 0.0144 an hour; at 20/s it is twice as dear."""
    measured = msgspec.structs.replace(made.best().measured, cost_per_million=0.1)
    limit = Limit(metric="cost_per_million", max=0.15)
    found, _ = verified(tmp_path, 2.0, best=made.best(measured=measured, constraints=(limit,)))
    assert found.verdict == "fails" and found.reasons[0].startswith("cost_per_million is 0.")


def test_two_that_do_not_fit_into_memory_are_measured_one_after_the_other(tmp_path: Path) -> None:
    measured = msgspec.structs.replace(made.best().measured, peak_rss_bytes=2**33)
    _, executor = verified(tmp_path, 2.0, best=made.best(measured=measured))
    assert not executor.runs[0].together


def test_the_objective_is_what_was_asked_for(tmp_path: Path) -> None:
    found, executor = verified(tmp_path, 2.0, best=made.best(objective=("cpu_s_per_sample",)))
    assert (found.objective, executor.runs[0].objective) == ("cpu_s_per_sample", "cpu_s_per_sample")
    assert found.ratio.estimate == pytest.approx(2, rel=0.02)


def server(kept: bool | None) -> FakeExecutor:
    """An executor that keeps any rate, or none, or fails."""
    return FakeExecutor(
        serves={} if kept is None else {FAST: 1000.0 if kept else 0.0}, shows={FAST: {"peak_rss_bytes": 2**28}}
    )


@pytest.mark.parametrize(("kept", "expected"), [(True, "holds"), (False, "fails"), (None, "fails")])
def test_a_served_rate_is_served_again(tmp_path: Path, kept: bool | None, expected: str) -> None:
    serving = server(kept)
    found = claim_check(tmp_path, serving, made.serves()).serve(serving)
    assert (found.verdict, [rate for _, rate in serving.requests]) == (expected, [pytest.approx(97)])
    assert (found.logs is not None) == (kept is None)
    assert found.claimed is None


def test_who_serves_must_keep_the_limits_too(tmp_path: Path) -> None:
    limit = Limit(metric="peak_rss_bytes", max=2**20)
    serving = server(True)
    found = claim_check(tmp_path, serving, made.serves(constraints=(limit,))).serve(serving)
    assert found.verdict == "fails" and found.reasons[0].startswith("peak_rss_bytes is ")


def test_a_hard_limit_on_outputs_refuses_who_serves_without_a_comparison(tmp_path: Path) -> None:
    """The throughput under a load test is not measured, and a limit on it not looked at."""
    limits = [Limit(metric=name, min=0.5, unjudged="reject") for name in ("throughput", "cosine_similarity")]
    serving = server(True)
    found = claim_check(tmp_path, serving, made.serves(constraints=tuple(limits))).serve(serving)
    assert found.reasons == ("cosine_similarity is not judged: refused, allowed at least 0.5",)


# ------------------------------------------------------------------------------------------------------------- looks


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.2, 0.3, 0.5])
def test_the_question_is_answered_only_when_a_look_is_due(tmp_path: Path, noise: float) -> None:
    """After 6, 12, 24 runs or once the time is used up: looking after each would find by chance what is not there."""
    found, executor = verified(tmp_path, 1.9, seconds=600.0, noise=noise)
    due = len(executor.runs) in (6, 12, 24, ConfirmRules().most_runs)
    assert due or found.verdict == "unresolved" or found.seconds > 590


def simulated(folder: Path, seed: int, ratio: float) -> str:
    """The verdict on a noisy machine where the claim was 1.9 at least; its bound is 1.84."""
    claim = Claim(estimate=2.0, low=1.9, high=2.1)
    best = made.best(measured=msgspec.structs.replace(made.best().measured, speedup=claim))
    logs = {WINNER: 3.0 + math.log(ratio), BASELINE: 3.0}
    executor = SimulatedExecutor(folder / str(seed), Machine(seed, seconds=480.0), logs)
    configs = {WINNER: FAST, BASELINE: PLAIN}
    check = ClaimCheck(best, HW, configs, folder / str(seed), MeasureRules(), ConfirmRules(), executor.clock)
    return check.compare(executor, 120.0).verdict


@pytest.mark.parametrize(("seeds", "most"), [(10, 0.3), pytest.param(200, 0.08, marks=pytest.mark.slow)])
def test_what_is_just_within_the_bound_seldom_fails(folder: Path, seeds: int, most: float) -> None:
    verdicts = [simulated(folder, seed, 1.9 / 1.03) for seed in range(seeds)]
    assert verdicts.count("fails") / seeds <= most


@pytest.mark.parametrize(("seeds", "most"), [(10, 0.2), pytest.param(200, 0.05, marks=pytest.mark.slow)])
def test_a_gain_that_fell_by_a_fifth_seldom_holds(folder: Path, seeds: int, most: float) -> None:
    verdicts = [simulated(folder, seed, 1.9 / 1.03 / 1.2) for seed in range(seeds)]
    assert verdicts.count("holds") / seeds <= most
