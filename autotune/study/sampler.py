"""What the sampler is asked and told, and what it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import msgspec

from autotune.problem import Domains
from autotune.results import Status, TrialResult
from autotune.study.ranking import Ranking
from autotune.study.suggest import parameters, suggest
from autotune.types import Config, Hardware

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS = 10
CANDIDATES = 4
ERROR_LENGTH = 200
MOST = 1e6


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """TPE over all settings jointly, with the options of each backend as a group of their own.

    It takes the best of few candidates, since no configuration is measured twice: on 24 made-up machines two thirds of
    all proposals were repeats with Optuna's 24 candidates, a third with 4, and 60 trials ended nearer to the optimum.
    """
    import optuna

    with warnings.catch_warnings():
        # `group` is experimental; without it the options of a backend are sampled one by one, with a warning each.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP_TRIALS, n_ei_candidates=CANDIDATES
        )


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
    # Stored before the trial runs, so that a dashboard shows what is running.
    trial.set_user_attr("config", msgspec.json.encode(config).decode())
    return trial, config


def tell(study: optuna.Study, trial: optuna.Trial, result: TrialResult, ranking: Ranking) -> None:
    """Tells a trial's result: its objectives and by how much it keeps or breaks each limit, or that it does not run.

    An interruption teaches nothing.
    """
    import optuna

    trial.set_user_attr("status", result.status)
    if result.error:
        trial.set_user_attr("error", _line(result.error))
    if result.status is Status.INTERRUPTED:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return
    values = ranking.values(result) if result.status.measured else None
    if values is None:
        tell_failure(study, trial)
        return
    trial.set_user_attr("rate", round(ranking.rate(result), 3))
    for judgement in ranking.judged(result):
        trial.set_constraint(judgement.limit.figure, min(max(judgement.excess, -MOST), MOST))
    study.tell(trial, list(values))


def tell_unsupported(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Tells that this machine cannot honour the configuration, which was therefore not run."""
    trial.set_user_attr("status", Status.UNSUPPORTED)
    trial.set_user_attr("error", _line(reason))
    tell_failure(study, trial)


def tell_failure(study: optuna.Study, trial: optuna.Trial) -> None:
    """Tells that a configuration does not run: plain FAIL would teach the sampler nothing."""
    import optuna

    trial.set_constraint("runs", 1.0)
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def tell_repeat(study: optuna.Study, trial: optuna.Trial, number: int) -> None:
    """Tells that the configuration was trial `number`, whose result the sampler knows."""
    import optuna

    trial.set_user_attr("repeat_of", number)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _line(text: str) -> str:
    return " ".join(text.split())[:ERROR_LENGTH]
