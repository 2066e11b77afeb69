from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Finalist
from autotune.core.space_types import Limit
from autotune.report import lookup, report_formats
from autotune.report.compare import best_row
from autotune.report.dashboard import notes
from autotune.report.export import best_of_study, writer
from autotune.report.text import dataframe, formatting, summary
from tests.report.folders import FAST, SPACE, keep
from tests.report.made import HW, PLAIN, config, confirmation, estimate, result, winner
from tests.report.text.test_markdown import rendered

OTHER = config("openvino", 4)
RESULTS = (result(0, PLAIN, (10, 10.1)), result(1, FAST, (40, 40.4)), result(2, OTHER, (20, 20.2)))


def test_what_broke_a_limit_in_the_confirmation_is_not_feasible_and_not_exported(tmp_path: Path) -> None:
    broken = Finalist(trial=1, config=FAST, ratio=estimate(4.0, 0.1), broken="setup_s is 9, allowed at most 5")
    kept = Finalist(trial=2, config=OTHER, ratio=estimate(2.0, 0.1))
    study = keep(tmp_path / "s", RESULTS, confirmation(None, reason="too short", finalists=(broken, kept)))
    assert [one.feasible for one in study.results] == [True, False, True]
    assert study.ranking.best is not None and study.ranking.best.spec.config == OTHER
    found = best_of_study.best(study.folder, SPACE, HW, study.results, study.confirmation)
    assert found is not None and found.config == OTHER


def test_a_winner_whose_ratio_is_not_known_claims_none(tmp_path: Path) -> None:
    study = keep(tmp_path / "s", RESULTS, confirmation(winner(FAST, ratio=None), finalists=()))
    found = best_of_study.best(study.folder, SPACE, HW, study.results, study.confirmation)
    assert found is not None and found.confirmed and found.measured.speedup is None
    assert "confirmed" in writer.text(found, "env") and "times the baseline" not in writer.text(found, "env")


@pytest.mark.parametrize("level", ["confirmed", "interleaved", "search"])
def test_all_that_a_user_reads_takes_its_figures_from_the_same_evidence(tmp_path: Path, level: str) -> None:
    claimed = level == "confirmed"
    so_far = confirmation(winner(OTHER, trial=2, metrics={"throughput": 40.0}), confirmed=claimed, gain=claimed)
    study = keep(tmp_path / "s", RESULTS, None if level == "search" else so_far)
    evident = study.evidence
    assert evident is not None and evident.ratio is not None and study.evidence is evident
    assert (evident.level, evident.config) == (level, FAST if level == "search" else OTHER)
    best = lookup.best(study, None)
    assert best.measured.speedup is not None
    assert (best.config, best.confirmed, best.measured.throughput) == (evident.config, claimed, evident.rate)
    row = best_row.best_row("s", study, None)
    assert (row.config, row.confirmed, row.throughput, row.ratio) == (best.config, claimed, evident.rate, evident.ratio)
    (trial,) = (one for one in dataframe.rows(study) if one["evidence"] == level)
    assert (trial["trial"], trial["throughput"]) == (evident.trial, evident.rate.estimate)
    assert trial["speedup"] == best.measured.speedup.estimate == evident.ratio.estimate
    told = formatting.ratio(evident.ratio)
    assert told in summary.summary(study)[2]
    assert told in rendered(notes.trial(study, study.results[evident.trial or 0], {}))
    assert msgspec.json.decode(report_formats.json(study))["evidence"]["ratio"]["estimate"] == evident.ratio.estimate


def test_what_makes_a_trial_not_feasible_is_named(tmp_path: Path) -> None:
    again = Finalist(trial=2, config=OTHER, ratio=None, broken="setup_s is 9, allowed at most 5")
    space = msgspec.structs.replace(SPACE, constraints=(Limit(metric="throughput", max=30.0),))
    results = [RESULTS[0], msgspec.structs.replace(RESULTS[1], feasible=False), RESULTS[2]]
    study = keep(tmp_path / "s", results, confirmation(None, reason="so", finalists=(again,)), space)
    own = "throughput is 40.2, allowed at most 30"
    assert [study.broken(one) for one in study.results] == [[], [own], [f"{again.broken} (when it was confirmed)"]]
    served = msgspec.structs.replace(RESULTS[0], feasible=False)
    assert study.broken(served) == ["it serves no rate of requests within the latency"]


def test_without_a_confirmation_the_results_are_as_they_were_measured(tmp_path: Path) -> None:
    assert all(one.feasible for one in keep(tmp_path / "s", RESULTS).results)
