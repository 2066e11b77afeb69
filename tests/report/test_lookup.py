from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.errors import StudyError
from autotune.core.results import Status
from autotune.report import lookup
from tests.report import folders, made
from tests.tune_harness import TuneHarness, harness_in


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TuneHarness:
    return harness_in(tmp_path, monkeypatch)


def test_a_study_is_a_folder_or_a_name(harness: TuneHarness) -> None:
    harness.tune(trials=1)
    for study in (harness.study, harness.study.relative_to(harness.folder), "toy@toy.large"):
        assert lookup.find(str(study), harness.studies).folder.resolve() == harness.study.resolve()


@pytest.mark.parametrize(
    ("study", "says"),
    [("toi@toy.large", r"did you mean 'toy@toy\.large'\?"), ("resnet", r"allowed: toy@toy\.large")],
)
def test_a_study_that_is_not_there_has_near_names(harness: TuneHarness, study: str, says: str) -> None:
    harness.tune(trials=1)
    with pytest.raises(StudyError, match=f"^no study '{study}'; {says}$"):
        lookup.find(study, harness.studies)


def test_a_beginning_that_only_one_name_has_is_enough(harness: TuneHarness) -> None:
    for name in ("first", "second", "second-again"):
        harness.tune(trials=1, name=name)
    assert lookup.folder("f", harness.studies) == harness.studies / "first"
    assert lookup.folder("second", harness.studies) == harness.studies / "second", "a whole name is no beginning"
    says = r"^'sec' begins the names of several studies: second, second-again; give more of one$"
    with pytest.raises(StudyError, match=says):
        lookup.folder("sec", harness.studies)
    with pytest.raises(StudyError, match=r"^no study ''"):
        lookup.folder("", harness.studies)


def test_without_any_study_the_folder_is_named(harness: TuneHarness) -> None:
    with pytest.raises(StudyError, match=r"^no study 'x'; there is none in studies/$"):
        lookup.find("x", Path("studies"))


def test_a_trial_that_was_given_up_is_not_exported(tmp_path: Path) -> None:
    slow = made.result(1, folders.FAST, (1, 1), status=Status.REJECTED)
    study = folders.keep(tmp_path / "toy", [made.result(0, made.PLAIN, (10, 10)), slow])
    with pytest.raises(StudyError, match=r"^trial 1 was given up as slow; the best ones are: 0$"):
        lookup.best(study, 1)
