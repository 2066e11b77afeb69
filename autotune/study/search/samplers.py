"""Samplers by name: autotune's own, TPE, random, or any of Optuna's kind."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import TYPE_CHECKING, Any

from autotune.core.errors import StudyError
from autotune.study.model.points import Points

if TYPE_CHECKING:
    import optuna

SURROGATE = "surrogate"
NAMES = (SURROGATE, "tpe", "random")

STARTUP_TRIALS = 10
CANDIDATES = 4


def make(name: str, seed: int, points: Points) -> optuna.samplers.BaseSampler:
    """A sampler by its name: one of `NAMES`, or any sampler class of Optuna's kind as MODULE:CLASS.

    StudyError where there is none of that name.
    """
    import optuna

    from autotune.study.search.surrogate import Surrogate

    if name == SURROGATE:
        return Surrogate(points, seed)
    if name == "tpe":
        return tpe(seed)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    module, colon, kind = name.partition(":")
    allowed = f"allowed: {', '.join(NAMES)}, or a class as MODULE:CLASS, such as optuna.samplers:NSGAIISampler"
    if not colon:
        raise StudyError(f"there is no sampler {name!r}; {allowed}")
    try:
        found = getattr(importlib.import_module(module), kind)
    except Exception as error:  # whatever a module of the user's raises
        raise StudyError(f"the sampler {name!r} cannot be loaded: {error}; {allowed}") from error
    if not (inspect.isclass(found) and issubclass(found, optuna.samplers.BaseSampler)):
        raise StudyError(f"{name} is no sampler of Optuna's kind; {allowed}")
    given: dict[str, Any] = {"seed": seed} if "seed" in inspect.signature(found).parameters else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            made: optuna.samplers.BaseSampler = found(**given)
        except TypeError as error:
            raise StudyError(f"the sampler {name!r} cannot be made from a seed alone: {error}; {allowed}") from error
        return made


def surrogate(seed: int, points: Points) -> optuna.samplers.BaseSampler:
    """The sampler that is used where none is named."""
    return make(SURROGATE, seed, points)


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
