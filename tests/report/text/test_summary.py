from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Candidate, Status, TrialResult
from autotune.report.export import best_of_study
from tests.report.folders import FAST, SPACE
from tests.report.made import (
    CLOSE,
    HW,
    confirmation,
    keep_latencies,
    keep_run,
    numbered,
    result,
    winner,
)
from tests.report.text.summarised import RESULTS, said

COST = "cost      0.025 CPU seconds a sample, 0 KiB of memory at most"
WINDOWS = "          a trial's own rate is from one window: it ranks trials, and claims nothing"
ANSWERS = (
    "answers   error 0.012 of the variation between inputs, cosine similarity 0.99988 to the float32 model (8 samples)"
)


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


@pytest.mark.parametrize(
    ("floor", "text"), [(0.0, "0.0 %"), (0.0123, "1.2 %"), (math.log(1.5), "50.0 %"), (None, None)]
)
def test_the_noise_is_a_percentage(tmp_path: Path, floor: float | None, text: str | None) -> None:
    lines = said(tmp_path, found=confirmation(winner(FAST), noise_floor=floor))
    assert [line.split(":")[0].split(maxsplit=1)[1] for line in lines if line.startswith("noise")] == [text] * (
        text is not None
    )


def test_latencies_come_from_the_runs(tmp_path: Path) -> None:
    candidate = Candidate(config=FAST, blocks=numbered((10,), first=1))
    keep_run(tmp_path, "confirmation/a/0001", {"winner": candidate})
    folder = "confirmation/a/0001/winner"
    keep_latencies(tmp_path / folder, [(0, 1, 24_940_000, 60), (0, 1, 30_000_000, 35)])
    keep_latencies(tmp_path / RESULTS[1].spec.folder, [(0, 0, 1_000_000, 100)])
    lines = said(tmp_path, found=confirmation(winner(FAST, folders=(folder,))))
    assert "latency   p50 24.9 ms, p90 30.0 ms, p95 30.0 ms over 95 calls" in lines


@pytest.mark.parametrize("results", [(), (result(0),), (result(0, rates=(9,), status=Status.REJECTED),)])
def test_without_a_measurement_the_summary_says_so(tmp_path: Path, results: tuple[TrialResult, ...]) -> None:
    assert said(tmp_path, results)[0] == "No configuration has been measured."


def test_what_is_infeasible_does_not_win(tmp_path: Path) -> None:
    fast = msgspec.structs.replace(RESULTS[1], feasible=False)
    assert said(tmp_path, (RESULTS[0], fast))[0].startswith("best      torch_eager")


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
