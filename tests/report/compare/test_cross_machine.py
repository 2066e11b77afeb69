from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.core.confirmation import Finalist
from autotune.core.results import Candidate, Status
from autotune.report.compare.comparison_types import Crossing
from autotune.report.compare.cross_machine import crossings
from tests.report.folders import SPACE
from tests.report.made import PLAIN, config, confirmation, estimate, keep_run, numbered, result, winner
from tests.report.tuned import study

FAST, SLOW, OTHER = config("onnxruntime", 8), config("onnxruntime", 4), config("openvino", 4)
BASE = result(0, rates=(10, 10))


def crossed(folder: Path, *results: Any, found: Any = None, space: Any = SPACE, best: Any = FAST) -> Crossing:
    """The configuration SLOW of another machine on one where `best` is the best."""
    here = study(folder / "here", [BASE, *results], found, space=space)
    there = study(folder / "there", [BASE], kind="toy.small")
    answers = crossings({"here": here, "there": there}, {"here": best, "there": SLOW})
    return next(one for one in answers if one.measured_on == "here")


def holds(found: Crossing, ratio: float) -> bool:
    """True if the interval has this ratio: that of two windows, in which the best of few is flattered."""
    assert found.ratio is not None and found.ratio.low is not None and found.ratio.high is not None
    return found.ratio.low < ratio < found.ratio.high


def test_trials_of_both_tell_what_is_lost(tmp_path: Path) -> None:
    found = crossed(tmp_path, result(1, FAST, rates=(40, 40, 40)), result(2, SLOW, rates=(30, 30, 30)))
    assert (found.tuned_on, found.measured_on, found.confirmed, found.remark) == ("there", "here", False, None)
    assert holds(found, 0.75) and found.ratio is not None and found.ratio.estimate < 0.9


def test_runs_of_both_are_believed_before_trials(tmp_path: Path) -> None:
    """Whatever comparison they sat in, and whatever they were called in it; a twin does not count."""
    for number, rates in enumerate(((30, 31), (29, 30), (30, 30))):
        candidates = {
            "winner": Candidate(config=FAST, blocks=numbered((40, 40))),
            "winner-again": Candidate(config=FAST, blocks=numbered((99, 99))),
            f"name-{number}": Candidate(config=SLOW, blocks=numbered(rates)),
        }
        keep_run(tmp_path / "here", f"confirmation/any-{number}/0001", candidates)
    keep_run(tmp_path / "here", "confirmation/any-9/0001", {"winner": Candidate(config=FAST, blocks=numbered((1,)))})
    trials = result(1, FAST, rates=(40, 40)), result(2, SLOW, rates=(10, 10))
    found = crossed(tmp_path, *trials, found=confirmation(winner(FAST)))
    assert found.confirmed and found.ratio is not None and found.ratio.low is not None
    assert found.ratio.estimate == pytest.approx(0.75, rel=0.01)
    assert found.ratio.low < 0.75 < (found.ratio.high or 0.0)


def test_runs_of_an_earlier_package_version_are_not_pooled_with_those_of_the_latest(tmp_path: Path) -> None:
    for started, version, rate in (("2026-02-01", "2.0", 30), ("2026-01-01", "1.0", 90), ("2026-02-02", "2.0", 30)):
        used = {"onnxruntime": version, "python": started}
        candidates = {
            "winner": Candidate(config=FAST, blocks=numbered((40, 40)), versions=used),
            "trial-2": Candidate(config=SLOW, blocks=numbered((rate, rate)), versions=used),
        }
        keep_run(tmp_path / "here", f"confirmation/{started}/0001", candidates, started)
    found = crossed(tmp_path, result(1, FAST, rates=(40, 40)))
    assert found.ratio is not None and found.ratio.estimate == pytest.approx(0.75)


def test_trials_of_two_package_versions_are_said_to_be(tmp_path: Path) -> None:
    versions = [{"onnxruntime": version} for version in ("1.0", "2.0")]
    trials = result(1, FAST, rates=(40,), versions=versions[0]), result(2, SLOW, rates=(20,), versions=versions[1])
    found = crossed(tmp_path, *trials)
    assert holds(found, 0.5)
    assert found.remark == "with other package versions than the best there"


def test_what_was_not_measured_there_has_no_figure(tmp_path: Path) -> None:
    found = crossed(tmp_path, result(1, FAST, rates=(40, 40)))
    assert (found.ratio, found.remark) == (None, "not measured there")


def test_a_failure_there_is_said(tmp_path: Path) -> None:
    found = crossed(tmp_path, result(1, FAST, rates=(40,)), result(2, SLOW, status=Status.OUT_OF_MEMORY))
    assert (found.ratio, found.remark) == (None, "failed there: out of memory")


def test_a_trial_that_was_given_up_was_measured(tmp_path: Path) -> None:
    found = crossed(tmp_path, result(1, FAST, rates=(40,)), result(2, SLOW, rates=(10,), status=Status.REJECTED))
    assert holds(found, 0.25)


def test_a_limit_that_it_breaks_there_is_said(tmp_path: Path) -> None:
    found = crossed(tmp_path, result(1, FAST, rates=(40,)), result(2, SLOW, rates=(80,), feasible=False))
    assert holds(found, 2.0)
    assert found.remark == "breaks a limit there"


def test_one_configuration_may_be_the_best_on_both(tmp_path: Path) -> None:
    found = crossed(tmp_path, result(1, SLOW, rates=(40,)), best=SLOW)
    assert (found.ratio, found.confirmed, found.remark) == (estimate(1.0), False, "the best there, too")


def test_a_winner_that_no_trial_measured_stands_for_the_finalist_it_was_made_from(tmp_path: Path) -> None:
    finalists = (
        Finalist(trial=3, config=PLAIN, ratio=estimate(1.0), verdict="faster"),
        Finalist(trial=1, config=OTHER, ratio=estimate(4.0)),
    )
    trials = result(1, OTHER, rates=(40,)), result(2, SLOW, rates=(20,)), result(3, rates=(90,))
    reduced = confirmation(winner(FAST, trial=None), finalists=finalists)
    found = crossed(tmp_path, *trials, found=reduced)
    assert holds(found, 0.5)
    assert not found.confirmed
    unknown = confirmation(winner(FAST, trial=None), finalists=finalists[:1])
    assert crossed(tmp_path, *trials, found=unknown).remark == "not measured there"
