from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.confirmation import Finalist
from autotune.core.space_types import Limit
from autotune.report.export import best_of_study, writer
from tests.report.folders import FAST, SPACE, keep
from tests.report.made import HW, PLAIN, config, confirmation, estimate, result, winner

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
