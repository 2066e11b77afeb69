from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Ablation, Confirmation, Finalist, Step
from autotune.core.results import Candidate, Status, TrialResult
from autotune.report.export import best_of_study
from tests.report.folders import FAST, SPACE
from tests.report.made import (
    CLOSE,
    HW,
    PLAIN,
    config,
    confirmation,
    estimate,
    keep_latencies,
    keep_run,
    numbered,
    result,
    winner,
)
from tests.report.text.summarised import OTHER, RESULTS, baseline_won, said

COST = "cost      0.025 CPU seconds a sample, 0 KiB of memory at most"
WINDOWS = "          a trial's own rate is from one window: it ranks trials, and claims nothing"
ANSWERS = (
    "answers   cosine similarity 0.99988 to the float32 model, error 0.012 of the variation between inputs (8 samples)"
)


# -------------------------------------------------------------------------------------------------------- confirmed


def test_a_confirmed_winner_has_its_claim_with_what_it_is_worth(tmp_path: Path) -> None:
    assert said(tmp_path, found=confirmation(winner(FAST))) == [
        "best      onnxruntime float32, batch 8, 1x2",
        "rate      40.0/s ±2.0 %",
        "speed-up  4.00x (3.90 to 4.10) over the baseline, confirmed in 6 interleaved runs, 42 rounds",
        "noise     1.2 %: by so much one configuration may seem to differ from itself here",
        COST,
        ANSWERS,
        "trials    2: 0 given up as clearly slower, 0 failed",
        WINDOWS,
        "",
        "finalists, against the baseline",
        "  4.00x (3.90 to 4.10)     onnxruntime float32, batch 8, 1x2: the fastest",
    ]


def test_every_finalist_has_its_figure_and_how_it_compares(tmp_path: Path) -> None:
    finalists = (
        Finalist(trial=1, config=FAST, ratio=estimate(4.0, 0.1)),
        Finalist(trial=2, config=OTHER, ratio=estimate(3.95, 0.1), verdict="tie"),
        Finalist(trial=3, config=OTHER, ratio=estimate(3.9), verdict="undecided", behind=estimate(1.03, 0.05)),
        Finalist(trial=4, config=OTHER, ratio=None, error="it broke"),
        Finalist(trial=5, config=OTHER, ratio=estimate(5.0, 0.1), verdict="slower"),
        Finalist(trial=0, config=PLAIN, ratio=estimate(1.0, 0.0), verdict="faster"),
    )
    lines = said(tmp_path, found=confirmation(winner(FAST), finalists=finalists))
    int8 = "openvino int8, batch 4, 1x2"
    assert lines[lines.index("finalists, against the baseline") + 1 :] == [
        "  4.00x (3.90 to 4.10)     onnxruntime float32, batch 8, 1x2: the fastest",
        f"  3.95x (3.85 to 4.05)     {int8}: a tie",
        f"  3.90x                    {int8}: undecided; the fastest is 1.03x (0.98 to 1.08) as fast",
        f"  not measured             {int8}: failed: it broke",
        f"  5.00x (4.90 to 5.10)     {int8}: not selected",
    ]


def test_finalists_that_there_was_no_time_for_are_not_measured_and_nothing_else(tmp_path: Path) -> None:
    """Each was printed as the fastest."""
    finalists = tuple(Finalist(trial=number, config=FAST, ratio=None) for number in (1, 2))
    found = Confirmation(
        confirmed=False, gain=False, winner=None, noise_floor=None, finalists=finalists, reason="no time"
    )
    lines = said(tmp_path, found=found)
    assert (
        lines[lines.index("finalists, against the baseline") + 1 :]
        == ["  not measured             onnxruntime float32, batch 8, 1x2"] * 2
    )


@pytest.mark.parametrize(
    ("floor", "text"), [(0.0, "0.0 %"), (0.0123, "1.2 %"), (math.log(1.5), "50.0 %"), (None, None)]
)
def test_the_noise_is_a_percentage(tmp_path: Path, floor: float | None, text: str | None) -> None:
    lines = said(tmp_path, found=confirmation(winner(FAST), noise_floor=floor))
    assert [line.split(":")[0].split(maxsplit=1)[1] for line in lines if line.startswith("noise")] == [text] * (
        text is not None
    )


def test_what_each_setting_is_worth(tmp_path: Path) -> None:
    ablations = (
        Ablation(
            setting="backend", value="onnxruntime", instead="torch_eager", ratio=estimate(2.5, 0.1), resolved=True
        ),
        Ablation(setting="batch_size", value=8, instead=1, ratio=estimate(1.01, 0.05)),
        Ablation(setting="huge_pages", value=True, instead=False, ratio=estimate(0.9, 0.05), removed=True),
        Ablation(setting="allocator", value="tcmalloc", instead="system", ratio=None, error="it broke"),
        Ablation(setting="layout", value="2x1", instead="1x2", ratio=estimate(17.74)),
        Ablation(setting="numa", value="bind", instead="default", ratio=estimate(0.92, 0.3), runs=1),
        Ablation(setting="affinity", value="close", instead="none", ratio=estimate(0.92, 0.05), runs=2),
        Ablation(setting="block_time", value=1, instead=200, ratio=None),
    )
    lines = said(tmp_path, found=confirmation(winner(FAST), ablations=ablations))
    assert lines[lines.index("what each setting is worth: the winner with it over the winner without it") - 1 :] == [
        "",
        "what each setting is worth: the winner with it over the winner without it",
        "  2.50x (2.40 to 2.60)     backend onnxruntime instead of torch_eager",
        "  1.01x (0.96 to 1.06)     batch_size 8 instead of 1: not resolved, kept",
        "  0.90x (0.85 to 0.95)     huge_pages true instead of false: not shown to help, removed",
        "                           allocator tcmalloc instead of system, which could not be measured: it broke",
        "                           layout 2x1 instead of 1x2: not resolved by one interleaved run, kept",
        "                           numa bind instead of default: not resolved by one interleaved run, kept",
        "                           affinity close instead of none: not resolved, kept",
        "                           block_time 1 instead of 200: not measured, the time was used up; kept",
    ]


def test_the_way_ends_with_the_claim(tmp_path: Path) -> None:
    """Whatever the runs of the way say of the winner: two figures for one thing are one too many."""
    path = (
        Step(settings={"backend": "onnxruntime"}, ratio=estimate(2.5, 0.1), total=estimate(2.5, 0.1)),
        Step(settings={"huge_pages": True, "batch_size": 8}, ratio=estimate(1.1, 0.2), total=estimate(4.5, 0.1)),
        Step(settings={"layout": "2x1"}, ratio=estimate(0.5, 0.1), total=estimate(2.0, 0.1)),
    )
    assert said(tmp_path, found=confirmation(winner(FAST), path=path))[-5:] == [
        "",
        "the way from the baseline to the winner, in runs of its own; the last figure is the claim",
        "  2.50x (2.40 to 2.60)     + backend onnxruntime",
        "  4.50x (4.40 to 4.60)     + huge_pages true, batch_size 8: not resolved",
        "  4.00x (3.90 to 4.10)     + layout 2x1",
    ]
    once = tuple(msgspec.structs.replace(step, runs=1) for step in path)
    assert not any(line.startswith("the way") for line in said(tmp_path, found=confirmation(winner(FAST), path=once)))


def test_latencies_come_from_the_runs(tmp_path: Path) -> None:
    candidate = Candidate(config=FAST, blocks=numbered((10,), first=1))
    keep_run(tmp_path, "confirmation/a/0001", {"winner": candidate})
    folder = "confirmation/a/0001/winner"
    keep_latencies(tmp_path / folder, [(0, 1, 24_940_000, 60), (0, 1, 30_000_000, 35)])
    keep_latencies(tmp_path / RESULTS[1].spec.folder, [(0, 0, 1_000_000, 100)])
    lines = said(tmp_path, found=confirmation(winner(FAST, folders=(folder,))))
    assert "latency   p50 24.9 ms, p90 30.0 ms, p95 30.0 ms over 95 calls" in lines


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


# -------------------------------------------------------------------------------------------------- not confirmed


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


@pytest.mark.parametrize("results", [(), (result(0),), (result(0, rates=(9,), status=Status.REJECTED),)])
def test_without_a_measurement_the_summary_says_so(tmp_path: Path, results: tuple[TrialResult, ...]) -> None:
    assert said(tmp_path, results)[0] == "No configuration has been measured."


def test_what_is_infeasible_does_not_win(tmp_path: Path) -> None:
    fast = msgspec.structs.replace(RESULTS[1], feasible=False)
    assert said(tmp_path, (RESULTS[0], fast))[0].startswith("best      torch_eager")


def test_a_search_that_found_nothing_faster_says_so(tmp_path: Path) -> None:
    slow = result(1, FAST, rates=(5, 5), status=Status.REJECTED)
    first, second, *_ = said(tmp_path, (RESULTS[0], slow))
    assert first == "no gain   nothing is expected to be faster than the baseline, from the search alone: not confirmed"
    assert second.startswith("rate      10.0/s ±")


def test_uncorrected_are_said_with_the_reason(tmp_path: Path) -> None:
    blind = msgspec.structs.replace(RESULTS[1], flags=("no_canary: it broke",))
    lines = said(tmp_path, (RESULTS[0], blind))
    assert "warning   the rates of 1 trials are not corrected for drift: no_canary: it broke" in lines


def test_unjudged_answers_are_in_the_headline(tmp_path: Path) -> None:
    unjudged = msgspec.structs.replace(CLOSE, judged=False)
    fast = msgspec.structs.replace(RESULTS[1], fidelity=unjudged)
    assert said(tmp_path, (RESULTS[0], fast))[0].endswith("(its answers are unjudged)")
    assert said(tmp_path, found=confirmation(winner(FAST, fidelity=unjudged)))[0].endswith("(its answers are unjudged)")
    assert "unjudged" not in said(tmp_path)[0]


def test_trials_of_other_versions_are_counted(tmp_path: Path) -> None:
    plain, fast = (
        msgspec.structs.replace(one, versions={"torch": version})
        for one, version in zip(RESULTS[:2], ("2.4", "2.5"), strict=True)
    )
    warning = (
        "warning   1 trials had other versions than later ones (torch 2.4): only a confirmation compares them fairly"
    )
    assert warning in said(tmp_path, (plain, fast))
    assert not any(line.startswith("warning") for line in said(tmp_path, (fast,)))


def test_the_winner_is_one_that_best_json_can_name(tmp_path: Path) -> None:
    """Its interpreter is there; that of the fastest trial was removed."""
    removed = msgspec.structs.replace(FAST, knobs=FAST.knobs | {"interpreter": "nightly"})
    results = [*RESULTS, result(2, removed, rates=(80, 80.4, 79.6))]
    lines = said(tmp_path, tuple(results))
    best = best_of_study.best(tmp_path, SPACE, HW, results, None)
    assert best is not None and best.config == FAST
    assert lines[0] == "best      onnxruntime float32, batch 8, 1x2"
    assert lines[1].startswith(f"rate      {best.measured.throughput.estimate:.1f}/s ±")
