"""The finalists, the worth of settings and the way to the winner, as a summary prints them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.confirmation import Ablation, Confirmation, Finalist, Step
from tests.report.folders import FAST
from tests.report.made import (
    PLAIN,
    confirmation,
    estimate,
    winner,
)
from tests.report.text.summarised import OTHER, said


def test_every_finalist_has_its_figure_and_how_it_compares(tmp_path: Path) -> None:
    finalists = (
        Finalist(trial=1, config=FAST, ratio=estimate(4.0, 0.1)),
        Finalist(trial=2, config=OTHER, ratio=estimate(3.95, 0.1), verdict="tie"),
        Finalist(trial=3, config=OTHER, ratio=estimate(3.9), verdict="undecided", behind=estimate(1.03, 0.05)),
        Finalist(trial=6, config=OTHER, ratio=estimate(4.2), verdict="undecided", behind=estimate(1.03, 0.05)),
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
        f"                           {int8}: undecided; the fastest is 1.03x (0.98 to 1.08) as fast",
        f"  not measured             {int8}: failed: it broke",
        f"  5.00x (4.90 to 5.10)     {int8}: not selected",
    ]


def test_a_ratio_by_way_of_others_is_marked(tmp_path: Path) -> None:
    finalists = (
        Finalist(trial=1, config=FAST, ratio=estimate(4.0, 0.1)),
        Finalist(trial=2, config=OTHER, ratio=estimate(3.95, 0.1), indirect=True, verdict="tie"),
    )
    lines = said(tmp_path, found=confirmation(winner(FAST), finalists=finalists))
    assert lines[-3:] == [
        "finalists, against the baseline (* by way of another one)",
        "  4.00x (3.90 to 4.10)     onnxruntime float32, batch 8, 1x2: the fastest",
        "  3.95x (3.85 to 4.05) *   openvino int8, batch 4, 1x2: a tie",
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
        Ablation(setting="numa", value="bind", instead="default", ratio=estimate(0.9, 0.05), kept="it was too late"),
        Ablation(setting="numa", value="bind", instead="default", ratio=estimate(0.9, 0.2), kept="it was too late"),
        Ablation(setting="numa", value="bind", instead="default", ratio=estimate(1.0, 0.05), kept="it was too late"),
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
        "                           affinity close instead of none: not shown to help, kept",
        "                           block_time 1 instead of 200: not measured, the time was used up; kept",
        "                           numa bind instead of default: not shown to help; kept, since it was too late",
        "                           numa bind instead of default: not shown to help; kept, since it was too late",
        "  1.00x (0.95 to 1.05)     numa bind instead of default: not shown to help; kept, since it was too late",
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
