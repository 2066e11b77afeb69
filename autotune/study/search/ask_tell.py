"""Optuna's ask and tell for trials of ours: configurations come out, results go in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from autotune.analysis.metrics import METRICS
from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Domains
from autotune.study.model.suggest import parameters, suggest
from autotune.study.ranking import Ranking
from autotune.study.search import known_wrong

if TYPE_CHECKING:
    import optuna

ERROR_LENGTH = 200
MOST = 1e6
"""The largest violation that is told: a database takes no infinity."""


def ask(study: optuna.Study, domains: Domains, hw: Hardware, planned: Config | None) -> tuple[optuna.Trial, Config]:
    """A new Optuna trial and its configuration: the planned one, or with None the sampler's choice.

    A planned one outside the domains makes a trial without parameters, from which the sampler learns nothing.
    """
    outside = False
    if planned is not None:
        params = parameters(planned, domains, hw)
        outside = params is None
        if params:
            study.enqueue_trial(params)
    trial = study.ask()
    config = planned if planned is not None and outside else suggest(trial, domains, hw)
    if planned is None:
        trial.set_user_attr("gain", getattr(study.sampler, "gain", None))
    # Stored before the trial runs, so that a dashboard shows what is running.
    trial.set_user_attr("config", msgspec.json.encode(config).decode())
    return trial, config


def gains(study: optuna.Study) -> list[float | None]:
    """The gain that the sampler expected of each of its trials, as a difference of logarithms; None: it did not say."""
    trials = study.get_trials(deepcopy=False)
    return [trial.user_attrs["gain"] for trial in trials if "gain" in trial.user_attrs]


def tell(study: optuna.Study, trial: optuna.Trial, result: TrialResult, ranking: Ranking) -> None:
    """Tells a trial's result: its objectives and by how much it keeps or breaks each limit, or that it does not run.

    An interruption teaches nothing. Of wrong answers it tells which parameters decide them, with `wrong` as a user
    attribute: another trial with these is wrong, too.
    """
    import optuna

    trial.set_user_attr("status", result.status)
    if result.error:
        trial.set_user_attr("error", _line(result.error))
    if result.status is Status.INTERRUPTED:
        _tell(study, trial, state=optuna.trial.TrialState.FAIL)
        return
    if not result.status.measured and known_wrong.broken(ranking.goal.limits, result) is not None:
        trial.set_user_attr("wrong", sorted(known_wrong.deciding(result.spec.config)))
    values = ranking.values(result) if result.status.measured else None
    if values is None:
        tell_failure(study, trial)
        return
    trial.set_user_attr("rate", round(ranking.rate(result), 3))
    if not all(METRICS[name].per_start for name in ranking.goal.objectives):
        trial.set_user_attr("noise", round(ranking.noise(result), 4))
    for check in ranking.checks(result):
        trial.set_constraint(check.limit.metric, min(max(check.violation, -MOST), MOST))
    if not ranking.serves(result):
        trial.set_constraint("serves", 1.0)
    _tell(study, trial, values=list(values))


def tell_unsupported(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Tells that this machine cannot honour the configuration, which was therefore not run."""
    trial.set_user_attr("status", Status.UNSUPPORTED)
    trial.set_user_attr("error", _line(reason))
    tell_failure(study, trial)


def tell_failure(study: optuna.Study, trial: optuna.Trial) -> None:
    """Tells that a configuration does not run: plain FAIL would teach the sampler nothing."""
    import optuna

    trial.set_constraint("runs", 1.0)
    _tell(study, trial, state=optuna.trial.TrialState.PRUNED)


def tell_unneeded(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Takes a proposal back that is not worth a trial."""
    import optuna

    trial.set_user_attr("status", "unneeded")
    trial.set_user_attr("error", _line(reason))
    _tell(study, trial, state=optuna.trial.TrialState.FAIL)


def tell_repeat(study: optuna.Study, trial: optuna.Trial, number: int) -> None:
    """Tells that the configuration was trial `number`, whose result the sampler knows."""
    import optuna

    trial.set_user_attr("repeat_of", number)
    _tell(study, trial, state=optuna.trial.TrialState.FAIL)


def _tell(study: optuna.Study, trial: optuna.Trial, **told: Any) -> None:
    """Tells Optuna. A sampler that has no more to propose, and would stop the loop that Optuna has, stops nothing."""
    try:
        study.tell(trial, **told)
    except RuntimeError as error:  # the trial is stored by then
        if "Study.stop" not in str(error):
            raise


def _line(text: str) -> str:
    return " ".join(text.split())[:ERROR_LENGTH]
