from __future__ import annotations

import math
import random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from autotune.core.space_types import Domains
from autotune.study.model import suggest
from autotune.study.model.points import DomainPoints
from autotune.study.search import ask_tell
from autotune.study.search.observations import Reader
from autotune.study.search.surrogate import Surrogate
from tests.fake_executor import speed
from tests.study.fakes import DOMAINS, SMALL, machine

HW = machine(cores=4)
POINTS = DomainPoints(SMALL, HW)


def add(study: optuna.Study, index: int, *values: float, noise: float = 0.0) -> None:
    """A trial of the point at an index; without values it failed."""
    params = POINTS.at(index)
    assert params is not None
    study.add_trial(
        optuna.create_trial(
            state=TrialState.COMPLETE if values else TrialState.PRUNED,
            values=values or None,
            params=params,
            distributions={name: CategoricalDistribution(POINTS.axes[name]) for name in params},
            user_attrs={"noise": noise},
        )
    )


def test_trials_are_points_with_logarithms_of_their_values() -> None:
    study = optuna.create_study(direction="maximize")
    add(study, 0, 10.0, noise=0.02)
    add(study, 1)
    add(study, 2, 40.0)
    seen = Reader(POINTS).read(study, [1.0])
    assert seen.points == [POINTS.at(0), POINTS.at(2)] and seen.failed == [POINTS.at(1)]
    assert seen.scores == pytest.approx([math.log(10), math.log(40)])
    assert (seen.noise, seen.proposed, len(seen.tried)) == ([0.02, 0.0], 3, 3)
    assert seen.best_first == [1, 0]


def test_what_is_to_be_small_scores_the_more_the_smaller_it_is() -> None:
    study = optuna.create_study(direction="minimize")
    for index, value in enumerate((10.0, 40.0, 20.0)):
        add(study, index, value)
    assert Reader(POINTS).read(study, [1.0]).best_first == [0, 2, 1]


def test_of_two_objectives_the_weights_decide() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for index, values in enumerate([(10.0, 1.0), (40.0, 4.0)]):
        add(study, index, *values)
    assert Reader(POINTS).read(study, [1.0, 0.1]).best_first == [1, 0]
    assert Reader(POINTS).read(study, [0.1, 1.0]).best_first == [0, 1]


def test_trials_of_another_version_and_outside_the_space_are_passed_over() -> None:
    points = DomainPoints(DOMAINS, HW)
    study = optuna.create_study(direction="maximize", sampler=Surrogate(points, 0))
    foreign = optuna.distributions.CategoricalDistribution(("gone", "other"))
    for value in ("gone", "other"):
        study.add_trial(optuna.create_trial(value=1e9, params={"backend": value}, distributions={"backend": foreign}))
    study.add_trial(optuna.create_trial(value=1e9))
    for _ in range(8):
        trial, config = ask_tell.ask(study, DOMAINS, HW, None)
        study.tell(trial, speed(config))
    assert {trial.params["backend"] for trial in study.trials[3:]} <= set(DOMAINS.backends)


def test_trials_whose_knobs_do_nothing_are_known_again() -> None:
    found = Domains(batch_size=(1,), knobs={"block_time": (0, 1, 200)}, backends={"onnxruntime": {}, "openvino": {}})
    points = DomainPoints(found, HW)
    study = optuna.create_study(direction="maximize", sampler=Surrogate(points, 0))
    distinct = {config.key for config in suggest.untried(found, HW, (), random.Random(0))}
    seen = set()
    for _ in range(len(distinct)):
        trial, config = ask_tell.ask(study, found, HW, None)
        seen.add(config.key)
        study.tell(trial, speed(config))
    assert seen == distinct
