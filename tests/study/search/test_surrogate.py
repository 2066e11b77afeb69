from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import optuna
import pytest
from optuna.trial import TrialState

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.study.model import gaussian_process
from autotune.study.model.points import DomainPoints, Parameters, Points
from autotune.study.search import ask_tell, surrogate
from autotune.study.search.surrogate import Surrogate, expected_improvement
from tests.fake_executor import speed
from tests.study.fakes import DOMAINS, machine

HW = machine(cores=4)


@dataclass(frozen=True)
class Listed:
    """Points that are written out."""

    points: Sequence[Parameters]

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Every parameter with the values that the points have of it."""
        found: dict[str, dict[Value, None]] = {}
        for name, value in itertools.chain.from_iterable(point.items() for point in self.points):
            found.setdefault(name, {})[value] = None
        return {name: tuple(values) for name, values in found.items()}

    def __len__(self) -> int:
        return len(self.points)

    def at(self, place: int) -> Parameters | None:
        """The point at a place."""
        return self.points[place]

    def of_trial(self, asked: Parameters) -> Parameters | None:
        """The same: each trial is asked for all that its point has."""
        return asked

    def neighbours(self, point: Parameters, rng: random.Random) -> Iterator[Parameters]:
        """None: all points are looked at anyway."""
        return iter(())


def searched(
    points: Points,
    tell: Callable[[optuna.Study, optuna.Trial], None],
    trials: int,
    directions: Sequence[str] = ("maximize",),
    seed: int = 0,
) -> tuple[optuna.Study, Surrogate]:
    """A study of a sampler that is asked for all parameters of each point, as far as they are active."""
    proposer = Surrogate(points, seed)
    study = optuna.create_study(directions=list(directions), sampler=proposer)
    for _ in range(trials):
        trial = study.ask()
        for name in trial.relative_params:
            trial.suggest_categorical(name, points.axes[name])
        tell(study, trial)
    return study, proposer


def telling(rate: Callable[[Parameters], float | None]) -> Callable[[optuna.Study, optuna.Trial], None]:
    def tell(study: optuna.Study, trial: optuna.Trial) -> None:
        value = rate(dict(trial.params))
        if value is None:
            ask_tell.tell_failure(study, trial)
        else:
            study.tell(trial, value)

    return tell


def keys(study: optuna.Study) -> list[frozenset[tuple[str, Value]]]:
    return [frozenset(trial.params.items()) for trial in study.trials]


GRID = Listed([{"x": x, "y": y, "idle": z} for x in range(1, 6) for y in "abcd" for z in "pqr"])


def hill(point: Parameters) -> float:
    return math.exp(-abs(float(point["x"]) - 4) + {"a": 0.0, "b": 1.0, "c": 0.2, "d": 0.1}[str(point["y"])])


def test_the_best_of_sixty_is_found_in_twenty_trials() -> None:
    best = max(map(hill, GRID.points))
    found = [max(t.value or 0 for t in searched(GRID, telling(hill), 20, seed=s)[0].trials) for s in range(5)]
    assert sum(value == best for value in found) >= 4
    assert min(found) > 0.6 * best


def test_no_point_is_proposed_twice_until_all_were_tried() -> None:
    study, proposer = searched(GRID, telling(hill), len(GRID))
    assert len(set(keys(study))) == len(GRID)
    assert study.ask().relative_params
    assert proposer.gain is None


def test_what_is_to_be_small_is_made_small() -> None:
    study, _ = searched(GRID, telling(hill), 20, ["minimize"])
    assert study.best_value == min(map(hill, GRID.points))


def test_where_everything_fails_the_proposals_go_on_and_differ() -> None:
    study, _ = searched(GRID, telling(lambda point: None), 25)
    assert len(set(keys(study))) == 25


def test_where_all_are_equal_nothing_more_is_expected() -> None:
    study, proposer = searched(GRID, telling(lambda point: 5.0), 25)
    assert len(set(keys(study))) == 25
    assert proposer.gain is not None and proposer.gain < 0.01


def test_one_point_is_proposed_again() -> None:
    study, proposer = searched(Listed([{"x": 1}]), telling(lambda point: 5.0), 3)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    assert proposer.propose(study) == {"x": 1}


def test_a_pair_that_fails_is_not_paid_for_again_and_again() -> None:
    def crashing(point: Parameters) -> float | None:
        return None if (point["y"], point["idle"]) == ("b", "q") else hill(point)  # b is the best

    paid = []
    for seed in range(5):
        study, _ = searched(GRID, telling(crashing), 30, seed=seed)
        paid.append(sum(trial.state is TrialState.PRUNED for trial in study.trials))
    assert sum(paid) <= 2 * len(paid)


def test_a_limit_that_is_broken_is_no_gain() -> None:
    def tell(study: optuna.Study, trial: optuna.Trial) -> None:
        trial.set_constraint("latency_p99_ms", float(trial.params["x"]) - 3.5)
        study.tell(trial, float(trial.params["x"]))

    study, _ = searched(GRID, tell, 25)
    late = [trial.params["x"] for trial in study.trials[10:]]
    assert late.count(3) > late.count(5)


def test_a_limit_that_few_keep_is_searched_for() -> None:
    """5 of 60 keep it, and the further a trial is from it, the more it breaks it."""

    def tell(study: optuna.Study, trial: optuna.Trial) -> None:
        x, y, z = float(trial.params["x"]), "abcd".index(trial.params["y"]), "pqr".index(trial.params["idle"])
        trial.set_constraint("latency_p99_ms", (abs(x - 2) + y + z) / 2 - 0.5)
        study.tell(trial, 1.0 + x)

    firsts = []
    for seed in range(6):
        study, _ = searched(GRID, tell, 25, seed=seed)
        kept = [trial for trial in study.trials if max(trial.constraints.values()) <= 0]
        assert max(trial.value or 0.0 for trial in kept) == 4.0
        firsts.append(kept[0].number)
    assert sorted(firsts)[3] < 10  # a random one comes after 10 trials in the mean


def test_while_no_limit_is_kept_nothing_is_said_to_be_expected() -> None:
    def tell(study: optuna.Study, trial: optuna.Trial) -> None:
        trial.set_constraint("latency_p99_ms", float(trial.params["x"]))
        study.tell(trial, 5.0)

    study, proposer = searched(GRID, tell, 25)
    assert len(set(keys(study))) == 25
    assert proposer.gain is None


@pytest.mark.parametrize("violation", [1.0, 1e6])
def test_while_all_break_a_limit_alike_what_was_seldom_tried_comes_first(violation: float) -> None:
    def tell(study: optuna.Study, trial: optuna.Trial) -> None:
        trial.set_constraint("serves", violation)
        study.tell(trial, 0.0)

    study, _ = searched(GRID, tell, 15)
    for name, values in GRID.axes.items():
        times = [sum(trial.params[name] == value for trial in study.trials) for value in values]
        assert min(times) >= 2, name


def test_of_many_trials_the_model_has_the_best_and_some_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian_process, "FITTED", 6)
    monkeypatch.setattr(gaussian_process, "KEPT", 10)
    best = max(map(hill, GRID.points))
    study, _ = searched(GRID, telling(hill), 25)
    assert study.best_value == best


def test_a_study_that_goes_on_does_not_begin_to_explore_anew() -> None:
    wide = Listed([{"x": x, "name": f"n{name}"} for x in range(1, 4) for name in range(40)])
    study, _ = searched(wide, telling(lambda point: float(point["x"])), 20)
    again = Surrogate(wide, 1)
    again.propose(study)
    assert again.gain is not None, "it was the model that proposed this"


def test_of_several_objectives_no_gain_is_said() -> None:
    _, proposer = searched(
        GRID, lambda study, trial: study.tell(trial, [hill(trial.params), 1.0]), 20, ["maximize"] * 2
    )
    assert proposer.gain is None


@pytest.mark.parametrize(("direction", "best"), [("maximize", 5), ("minimize", 1)])
def test_a_figure_that_may_be_zero_is_in_order(direction: str, best: int) -> None:
    """The accuracy of a broken configuration is 0, which is not better than 0.1."""
    study, _ = searched(GRID, telling(lambda point: (float(point["x"]) - 1) / 10), 20, [direction])
    late = [trial.params["x"] for trial in study.trials[8:]]
    assert late.count(best) > len(late) / 2


def test_both_ends_of_a_front_are_found() -> None:
    def tell(study: optuna.Study, trial: optuna.Trial) -> None:
        x = float(trial.params["x"])
        study.tell(trial, [x, x**2 + (trial.params["y"] != "b")])

    study, _ = searched(GRID, tell, 30, ["maximize", "minimize"])
    assert {(1.0, 1.0), (5.0, 25.0)} <= {tuple(trial.values) for trial in study.best_trials}


def test_a_space_of_a_billion_points_is_searched_from_samples() -> None:
    large = machine(cores=64)
    knobs = {name: plugins.load("knobs", name).domain(large) for name in plugins.names("knobs")}
    options: dict[str, tuple[Value, ...]] = {"streams": tuple(range(1, 65)), "requests": tuple(range(1, 65))}
    wide = Domains(batch_size=tuple(range(1, 129)), knobs=knobs, backends={"openvino": options, "onnxruntime": {}})
    assert len(DomainPoints(wide, large)) > 10**9
    study = optuna.create_study(direction="maximize", sampler=Surrogate(DomainPoints(wide, large), 0))
    for _ in range(8):
        trial, config = ask_tell.ask(study, wide, large, None)
        study.tell(trial, speed(config))
    assert len(set(keys(study))) == 8


def test_a_space_of_many_points_is_searched_from_samples_and_neighbours() -> None:
    many = Domains(batch_size=tuple(range(1, 501)), knobs=DOMAINS.knobs, backends=DOMAINS.backends)
    points = DomainPoints(many, HW)
    proposer = Surrogate(points, 0)
    study = optuna.create_study(direction="maximize", sampler=proposer)
    for _ in range(12):
        trial, config = ask_tell.ask(study, many, HW, None)
        study.tell(trial, rate(config))
    assert len(set(keys(study))) == 12
    before = {id(point) for point in proposer._drawn}
    proposer.propose(study)
    after = {id(point) for point in proposer._drawn}
    assert len(proposer._drawn) == surrogate.SOME
    assert len(before & after) > surrogate.SOME - 2 * surrogate.FRESH


def rate(config: Config) -> float:
    return speed(config) / config.workload.batch_size


def test_proposals_are_those_of_the_seed() -> None:
    first, second = (searched(GRID, telling(hill), 12, seed=3)[0] for _ in range(2))
    assert keys(first) == keys(second)
    assert keys(first) != keys(searched(GRID, telling(hill), 12, seed=4)[0])


@pytest.mark.parametrize(("ahead", "deviation", "gain"), [(0.0, 1.0, 0.39894), (2.0, 1e-3, 2.0), (-9.0, 1.0, 0.0)])
def test_the_expected_gain_is_the_mean_of_what_is_above(ahead: float, deviation: float, gain: float) -> None:
    import numpy as np

    assert expected_improvement(np.array([ahead]), np.array([deviation]))[0] == pytest.approx(gain, abs=1e-4)
