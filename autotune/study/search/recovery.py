"""Putting a study in order: what a coordinator left that was killed, stopped, or lost its database."""

from __future__ import annotations

import optuna
from optuna.trial import Trial, TrialState

from autotune.core.results import Status, TrialResult
from autotune.core.specs import TrialSpec
from autotune.study.ranking import Ranking
from autotune.study.search import ask_tell
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy, kill_orphans

KILLED = "the coordinator was killed while it ran"


def recover(study: OpenStudy, error: str = KILLED) -> None:
    """Leaves no process, no begun trial without a result, and no result that the sampler was not told.

    A trial that was cut short is `interrupted`, with `error`, and is measured again as a trial of its own. One during
    which the coordinator was killed twice is `crashed`: it may be what kills; the baseline alone is always tried again.
    """
    kill_orphans(study.folder)
    known = store.results(study.folder)
    for number in store.numbers(study.folder):
        spec = store.spec(study.folder, number)
        if spec is not None and store.result(study.folder, number) is None:
            store.write_result(study.folder, _cut_short(spec, error, known, study))
    ranking = Ranking(store.results(study.folder), study.space.goal)
    for frozen in study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        _tell(study, Trial(study.optuna, frozen._trial_id), ranking)
    _replay(study, ranking)


def _cut_short(spec: TrialSpec, error: str, known: list[TrialResult], study: OpenStudy) -> TrialResult:
    before = any(result.error == KILLED and result.spec.config == spec.config for result in known)
    if error == KILLED and before and spec.config != study.space.baseline:
        return TrialResult(spec=spec, status=Status.CRASHED, error="the coordinator was killed twice while it ran")
    return TrialResult(spec=spec, status=Status.INTERRUPTED, error=error)


def _tell(study: OpenStudy, trial: optuna.Trial, ranking: Ranking) -> None:
    result = store.result(study.folder, trial.number)
    if result is None:
        study.optuna.tell(trial, state=TrialState.FAIL)
    else:
        settle(study, result, ranking)
        ask_tell.tell(study.optuna, trial, result, ranking)


def settle(study: OpenStudy, result: TrialResult, ranking: Ranking) -> TrialResult:
    """A trial's result with its word on whether it keeps the limits, on disk too."""
    settled = ranking.settled(result)
    if settled != result:
        store.write_result(study.folder, settled)
    return settled


def _replay(study: OpenStudy, ranking: Ranking) -> None:
    """Tells a new database the results of the folder, each under its own number."""
    known = len(study.optuna.get_trials(deepcopy=False))
    begun = store.numbers(study.folder)
    for number in range(known, begun[-1] + 1 if begun else 0):
        result = store.result(study.folder, number)
        if result is None:
            study.optuna.tell(study.optuna.ask(), state=TrialState.FAIL)
        else:
            config = result.spec.config
            trial, _ = ask_tell.ask(study.optuna, study.space.domains, study.hardware, config)
            ask_tell.tell(study.optuna, trial, result, ranking)
