"""The report of whole runs (`benchmarks/whole_runs_report.py`)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

import whole_runs_report


def test_a_run_without_a_claim_counts_as_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    figure = whole_runs_report.Figure(
        seconds=9.0, evidence="search", estimate=2.0, low=1.0, high=4.0, truth=3.0, regret=0.0
    )
    task = whole_runs_report.Task(space="made", machine="recorded", seed=1)
    runs = {task: whole_runs_report.Run(trials=3, searched_s=5.0, claimed_s=None, ended_s=10.0, figures=(figure,))}
    before = {task: whole_runs_report.Run(trials=3, searched_s=5.0, claimed_s=20.0, ended_s=30.0, figures=(figure,))}
    assert not whole_runs_report.report(runs, before)
    printed = capsys.readouterr().out
    assert "NOT PASSED: 0.0% of 1 runs end confirmed" in printed
    assert "passed: the median time to a claim over that before: 0.50" in printed
