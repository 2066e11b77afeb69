from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from autotune.core.confirmation import Confirmation
from autotune.core.results import TrialResult
from autotune.report.dashboard.optuna_storage import FrozenStorage
from tests.report.folders import FAST, keep
from tests.report.made import confirmation, result, winner

RESULTS = (result(0, rates=(10,)), result(1, FAST, rates=(40,)), result(2))


def frozen(folder: Path, results: Sequence[TrialResult] = RESULTS, found: Confirmation | None = None) -> FrozenStorage:
    """The storage of a study, with a trial for each result."""
    trials = [
        create_trial(value=float(one.blocks[0].rate)) if one.blocks else create_trial(state=TrialState.FAIL)
        for one in results
    ]
    for number, trial in enumerate(trials):
        trial.number = number
    return FrozenStorage(keep(folder, results, found), trials, [])


def test_trials_are_found_by_number_and_state(tmp_path: Path) -> None:
    storage = frozen(tmp_path)
    assert [trial.number for trial in storage.get_all_trials(0)] == [0, 1, 2]
    assert [trial.number for trial in storage.get_all_trials(0, states=(TrialState.FAIL,))] == [2]
    assert storage.get_trial(1).number == 1
    with pytest.raises(KeyError, match="there is no trial 3"):
        storage.get_trial(3)


def test_trials_are_handed_out_as_copies_unless_told_not_to(tmp_path: Path) -> None:
    storage = frozen(tmp_path)
    assert storage.get_all_trials(0)[0] is not storage.trials[0]
    assert storage.get_all_trials(0, deepcopy=False)[0] is storage.trials[0]


def test_the_best_trial_is_the_searchs_until_another_is_confirmed(tmp_path: Path) -> None:
    assert frozen(tmp_path / "searched").get_best_trial(0).number == 1
    confirmed = confirmation(winner(RESULTS[0].spec.config, trial=0), gain=False)
    assert frozen(tmp_path / "confirmed", found=confirmed).get_best_trial(0).number == 0
    with pytest.raises(ValueError, match="no trial has been measured"):
        frozen(tmp_path / "failed", RESULTS[2:]).get_best_trial(0)


def test_it_holds_one_study_by_its_name(tmp_path: Path) -> None:
    (name,) = optuna.get_all_study_names(frozen(tmp_path / "two  spaces"))
    assert name == "two spaces"
