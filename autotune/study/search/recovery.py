"""Recovery of a study whose coordinator was killed or stopped, or whose database was lost."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution
from optuna.trial import Trial, TrialState

from autotune.core.errors import StudyError
from autotune.core.results import Status, TrialResult
from autotune.core.specs import TrialSpec
from autotune.study.model import suggest
from autotune.study.ranking import Ranking
from autotune.study.search import ask_tell
from autotune.study.search.outcome import judged
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy, kill_orphans

KILLED = "the coordinator was killed while it ran"


def recover(study: OpenStudy, error: str = KILLED) -> list[TrialResult]:
    """Leave no process, no begun trial without a result, and no result that the sampler was not told.

    Returns all results. A trial that was cut short is `interrupted`, with `error`, and is measured again as a trial of
    its own. One during which the coordinator was killed twice is `crashed`: it may be what kills; the baseline alone is
    always tried again. StudyError if the storage has trials of another search space.
    """
    kill_orphans(study.folder)
    _check_values(study)
    known = store.results(study.folder)
    results = {result.spec.id: result for result in known}
    for number in store.numbers(study.folder):
        if number not in results and (spec := store.spec(study.folder, number)) is not None:
            results[number] = _cut_short(spec, error, known, study)
            store.write_result(study.folder, results[number])
    ranking = Ranking([results[number] for number in sorted(results)], study.space.goal)
    _tell_unfinished(study, results, ranking)
    _replay(study, results, ranking)
    return [results[number] for number in sorted(results)]


def _check_values(study: OpenStudy) -> None:
    """A parameter's values in the storage must be the study's: Optuna takes no others later."""
    allowed = suggest.axes(study.space.domains)
    for trial in study.optuna.get_trials(deepcopy=False):
        for name, held in trial.distributions.items():
            if name in allowed and held != CategoricalDistribution(allowed[name]):
                got = list(held.choices) if isinstance(held, CategoricalDistribution) else held
                raise StudyError(
                    f"the storage of {study.folder} has {name} with the values {got}, the study with "
                    f"{list(allowed[name])}, and Optuna allows one set of values for a parameter; move study.db out of "
                    "the folder, or give another --storage, and run the same command again: the storage is made anew "
                    "from the folder's trials"
                )


def _cut_short(spec: TrialSpec, error: str, known: list[TrialResult], study: OpenStudy) -> TrialResult:
    before = any(result.error == KILLED and result.spec.config == spec.config for result in known)
    if error == KILLED and before and spec.config != study.space.baseline:
        return TrialResult(spec=spec, status=Status.CRASHED, error="the coordinator was killed twice while it ran")
    return TrialResult(spec=spec, status=Status.INTERRUPTED, error=error)


def _tell_unfinished(study: OpenStudy, results: dict[int, TrialResult], ranking: Ranking) -> None:
    """Tell the database the trials that it takes for running."""
    for frozen in study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = Trial(study.optuna, frozen._trial_id)
        if trial.number in results:
            results[trial.number] = judged(study.folder, results[trial.number], ranking)
            ask_tell.tell(study.optuna, trial, results[trial.number], ranking)
        else:
            study.optuna.tell(trial, state=TrialState.FAIL)


def _replay(study: OpenStudy, results: dict[int, TrialResult], ranking: Ranking) -> None:
    """Tell a new database the results of the folder, each under its own number."""
    known = len(study.optuna.get_trials(deepcopy=False))
    for number in range(known, max(store.numbers(study.folder), default=-1) + 1):
        if number in results:
            result = results[number]
            trial, _ = ask_tell.ask(study.optuna, study.space.domains, study.hardware, result.spec.config)
            ask_tell.tell(study.optuna, trial, result, ranking)
        else:
            study.optuna.tell(study.optuna.ask(), state=TrialState.FAIL)
