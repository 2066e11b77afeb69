"""The headline of a summary: the winner and its gain, by the evidence that there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from autotune.core.confirmation import Finalist
from autotune.core.results import Status, TrialResult
from tests.report.folders import FAST
from tests.report.made import (
    PLAIN,
    config,
    confirmation,
    estimate,
    result,
    winner,
)
from tests.report.text.summarised import OTHER, RESULTS, baseline_won, said

COST = "cost      0.025 CPU seconds a sample, 0 KiB of memory at most"
WINDOWS = "          a trial's own rate is from one window: it ranks trials, and claims nothing"
ANSWERS = (
    "answers   error 0.012 of the variation between inputs, cosine similarity 0.99988 to the float32 model (8 samples)"
)


def test_no_gain_is_said_with_the_best_of_the_others(tmp_path: Path) -> None:
    finalists = (
        Finalist(trial=1, config=FAST, ratio=estimate(1.01, 0.03), verdict="undecided"),
        Finalist(trial=2, config=OTHER, ratio=estimate(0.9, 0.03), verdict="faster"),
        Finalist(trial=3, config=OTHER, ratio=None, error="it broke"),
        Finalist(trial=0, config=PLAIN, ratio=estimate(1.0, 0.0)),
    )
    lines = said(tmp_path, found=confirmation(baseline_won(), gain=False, finalists=finalists))
    assert lines[:5] == [
        "no gain   nothing is shown to be faster than the baseline: the best of the others is 1.01x (0.98 to 1.04) "
        "the baseline",
        "rate      10.0/s ±1.0 %",
        "noise     1.2 %: by so much one configuration may seem to differ from itself here",
        COST,
        ANSWERS,
    ]
    assert not [line for line in lines if line.startswith(("best", "speed-up"))]
    alone = confirmation(baseline_won(), gain=False, finalists=finalists[2:])
    assert said(tmp_path, found=alone)[0] == "no gain   nothing is shown to be faster than the baseline"


def test_a_skipped_confirmation_leaves_what_is_to_be_expected(tmp_path: Path) -> None:
    """The interval is that of more than two windows: another start is another rate."""
    slow, failed = result(2, config(batch_size=4), rates=(5,), status=Status.REJECTED), result(3, OTHER)
    lines = said(tmp_path, (*RESULTS, slow, failed))
    assert lines[0] == "best      onnxruntime float32, batch 8, 1x2"
    rate = re.fullmatch(r"rate      (\d\d\.\d)/s ±\d\d\.\d %", lines[1])
    assert rate and float(rate[1]) < 40
    gain = re.fullmatch(
        r"expected  (\d\.\d\d)x \((\d\.\d\d) to (\d\.\d\d)\) over the baseline, from the search alone: not confirmed",
        lines[2],
    )
    assert gain and float(gain[2]) < 3.5 < float(gain[1]) < 4.2 < float(gain[3])
    assert lines[3:] == [
        "cost      0.025 CPU seconds a sample",
        "answers   not compared",
        "trials    4: 1 given up as clearly slower, 1 failed",
        WINDOWS,
    ]


def test_what_could_not_be_confirmed_says_why(tmp_path: Path) -> None:
    found = confirmation(None, reason="the time was enough for 0 of the 3 interleaved runs that a claim needs")
    lines, without = said(tmp_path, found=found), said(tmp_path)
    assert lines == [*without[:3], f"          {found.reason}", *without[3:]]


def test_a_claim_by_way_of_another_says_so(tmp_path: Path) -> None:
    lines = said(tmp_path, found=confirmation(winner(FAST, runs=3, rounds=9, indirect=True)))
    assert lines[2].endswith(", confirmed in 3 interleaved runs, 9 rounds, by way of another configuration")


def test_the_runs_so_far_come_before_the_search(tmp_path: Path) -> None:
    """The headline said 6.19x from the search above a confirmation's 4.28x."""
    reason = "the time was enough for 2 of the 3 interleaved runs that a claim needs"
    so_far = winner(FAST, ratio=estimate(3.0, 1.0), throughput=estimate(30.0, 9.0), runs=2)
    lines = said(tmp_path, found=confirmation(so_far, confirmed=False, gain=False, reason=reason))
    assert lines[:5] == [
        "best      onnxruntime float32, batch 8, 1x2",
        "rate      30.0/s ±30.0 %",
        "so far    3.00x (2.00 to 4.00) over the baseline, from 2 interleaved runs: not confirmed",
        f"          {reason}",
        "noise     1.2 %: by so much one configuration may seem to differ from itself here",
    ]
    assert "4.00x" not in "".join(lines[:8]) and "expected" not in "".join(lines)


def test_a_baseline_that_leads_so_far_is_no_gain_so_far(tmp_path: Path) -> None:
    finalists = (Finalist(trial=1, config=FAST, ratio=estimate(0.98, 0.03), verdict="undecided"),)
    found = confirmation(baseline_won(runs=1), confirmed=False, gain=False, finalists=finalists, reason="no time")
    assert said(tmp_path, found=found)[:3] == [
        "no gain   nothing is shown to be faster than the baseline, from 1 interleaved run: not confirmed: "
        "the best of the others is 0.98x (0.95 to 1.01) the baseline",
        "rate      10.0/s ±1.0 %",
        "          no time",
    ]


def disturbed(one: TrialResult, count: int) -> TrialResult:
    """The result with so many disturbed blocks."""
    blocks = (msgspec.structs.replace(one.blocks[i], disturbances=("others",) * (i < count)) for i in range(3))
    return msgspec.structs.replace(one, blocks=tuple(blocks))


def test_a_disturbed_machine_is_said_without_a_confirmation_too(tmp_path: Path) -> None:
    plain, fast = RESULTS
    warning = "warning   the machine was disturbed during 67 % of the "
    assert f"{warning}blocks; a quiet one would tell more" in said(tmp_path, (plain, disturbed(fast, 2)))
    assert f"{warning}baseline's blocks: the gain may be smaller" in said(tmp_path, (disturbed(plain, 2), fast))
    assert not any(line.startswith("warning") for line in said(tmp_path))
    found = confirmation(winner(FAST), disturbed=0.67)
    assert f"{warning}blocks; a quiet one would tell more" in said(tmp_path, found=found)
    found = confirmation(winner(FAST), disturbed=0.1)
    assert not any(line.startswith("warning") for line in said(tmp_path, (disturbed(plain, 2), fast), found))


def test_one_block_says_little(tmp_path: Path) -> None:
    lines = said(tmp_path, (result(0, rates=(10,)), result(1, FAST, rates=(40,))))
    assert re.fullmatch(r"rate      40.0/s ±[45]\d\.\d %", lines[1]) and lines[2].startswith("expected  4.00x (2.")


def test_without_a_baseline_no_speedup_is_claimed(tmp_path: Path) -> None:
    lines = said(tmp_path, (result(0), result(1, FAST, rates=(40, 40))))
    assert lines[0].startswith("best") and not any("speed-up" in line for line in lines)


def test_a_search_that_found_nothing_faster_says_so(tmp_path: Path) -> None:
    slow = result(1, FAST, rates=(5, 5), status=Status.REJECTED)
    first, second, *_ = said(tmp_path, (RESULTS[0], slow))
    assert first == "no gain   nothing is expected to be faster than the baseline, from the search alone: not confirmed"
    assert second.startswith("rate      10.0/s ±")
