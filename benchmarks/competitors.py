"""The searches that are compared: each is asked for a point and told what its trial gave.

All are told the rate and what failed; none knows which points exist but those that a study's driver keeps from trying
one twice. `first` is enqueued, so that the model of each sees it as its own trials.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from replay import Outcome, Replay, key

from autotune.study.model.encoding import all_numbers
from autotune.study.model.points import Parameters
from autotune.study.search import ask_tell, samplers
from autotune.study.search.driver import REPEATS

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

OURS = "autotune"
SMAC_FIRST = 0.25
"""The part of its trials that SMAC3 spends on its initial design, as it comes."""


class Searcher(Protocol):
    """A search; `tell` follows each `ask`."""

    def ask(self) -> Parameters | None:
        """The next point; None when the search has ended."""

    def tell(self, outcome: Outcome) -> None:
        """What its trial gave."""


class Plain:
    """An Optuna study as its user would write it: whatever the sampler proposes is run."""

    def __init__(self, replay: Replay, first: Sequence[Parameters], chooser: BaseSampler) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.replay = replay
        self.study = optuna.create_study(direction="maximize", sampler=chooser)
        for point in first:
            self.study.enqueue_trial(point)

    def ask(self) -> Parameters | None:
        """A new trial's point."""
        self.trial = self.study.ask()
        return self.replay.choose(self.trial)

    def tell(self, outcome: Outcome) -> None:
        """The rate; a failure as autotune tells it, without which samplers learn nothing from it."""
        if outcome.rate is None:
            ask_tell.tell_failure(self.study, self.trial)
            return
        self.trial.set_user_attr("noise", outcome.noise)
        self.study.tell(self.trial, outcome.rate)


class Penalised(Plain):
    """The same for a sampler that learns nothing from what failed and would propose it again: half the worst rate."""

    worst = math.inf

    def tell(self, outcome: Outcome) -> None:
        """The rate, or what stands for it: 0 while nothing has run."""
        if outcome.rate is not None:
            self.worst = min(self.worst, outcome.rate)
        penalty = self.worst / 2 if math.isfinite(self.worst) else 0.0
        self.study.tell(self.trial, penalty if outcome.rate is None else outcome.rate)


class Driven(Plain):
    """The same behind autotune's driver: nothing is run twice, and after some repeats another point is drawn."""

    def __init__(self, replay: Replay, first: Sequence[Parameters], chooser: BaseSampler, seed: int) -> None:
        super().__init__(replay, first, chooser)
        self.dice = random.Random(seed)
        self.seen: dict[Any, int] = {}

    def ask(self) -> Parameters | None:
        """A point that was not run before; None if there is none."""
        repeats = 0
        while True:
            if repeats == REPEATS:
                unseen = self._unseen()
                if unseen is None:
                    return None
                self.study.enqueue_trial(unseen)
            point = super().ask()
            assert point is not None
            if key(point) not in self.seen:
                self.seen[key(point)] = self.trial.number
                return point
            ask_tell.tell_repeat(self.study, self.trial, self.seen[key(point)])
            repeats += 1

    def _unseen(self) -> Parameters | None:
        total = len(self.replay.points)
        start = self.dice.randrange(total)
        found = (self.replay.points.at((start + step) % total) for step in range(total))
        return next((point for point in found if point is not None and key(point) not in self.seen), None)


class Hand:
    """One setting after the other, as in articles: each of its values beside the best so far, and the best is kept."""

    def __init__(self, replay: Replay, first: Sequence[Parameters]) -> None:
        self.replay = replay
        self.best: tuple[float, Parameters] = (0.0, first[0])
        self.seen: set[Any] = set()
        self.walk = self._walk(first)

    def ask(self) -> Parameters | None:
        """The next value; None when all settings were tried."""
        self.point = next(self.walk, None)
        return self.point

    def tell(self, outcome: Outcome) -> None:
        """Keeps the best that was measured fully."""
        assert self.point is not None
        if outcome.complete and outcome.rate is not None and outcome.rate > self.best[0]:
            self.best = outcome.rate, self.point

    def _walk(self, first: Sequence[Parameters]) -> Iterator[Parameters]:
        yield from self._new(first)
        plain = {axis: values[0] for axis, values in self.replay.axes.items()}
        for axis, values in self.replay.axes.items():
            held = plain | self.best[1]
            yield from self._new([chosen(self.replay, held | {axis: value}) for value in values])

    def _new(self, points: Sequence[Parameters]) -> Iterator[Parameters]:
        for point in points:
            if key(point) not in self.seen:
                self.seen.add(key(point))
                yield point


class Smac:
    """SMAC3's facade for hyperparameter optimisation; what fails costs twice the worst so far.

    It is told that measuring is deterministic: else it spends up to three trials on a configuration. What comes first
    counts towards its initial design.
    """

    def __init__(self, replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> None:
        from ConfigSpace import Configuration
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario
        from smac.runhistory import TrialInfo

        self.replay = replay
        self.space = _config_space(replay, seed)
        scenario = Scenario(self.space, deterministic=True, n_trials=trials, seed=seed, output_directory=folder)
        design = Facade.get_initial_design(scenario, n_configs=max(1, int(SMAC_FIRST * trials) - len(first)))
        self.smac = Facade(scenario, _nothing, initial_design=design, overwrite=True, logging_level=logging.ERROR)
        self.first = [TrialInfo(Configuration(self.space, self._indices(point)), seed=0) for point in first]
        self.worst = 0.0

    def ask(self) -> Parameters | None:
        """A point; None when none is left."""
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        try:
            self.info = self.first.pop(0) if self.first else self.smac.ask()
        except (StopIteration, ConfigurationSpaceExhaustedException):
            return None
        plain = {axis: values[0] for axis, values in self.replay.axes.items()}
        held = {axis: self.replay.axes[axis][int(index)] for axis, index in dict(self.info.config).items()}
        return chosen(self.replay, plain | held)

    def tell(self, outcome: Outcome) -> None:
        """The cost of a point is the seconds of one item."""
        from smac.runhistory import StatusType, TrialValue

        if outcome.rate is None:
            cost, status = 2 * self.worst or 1.0, StatusType.CRASHED
        else:
            cost, status = 1 / outcome.rate, StatusType.SUCCESS
            self.worst = max(self.worst, cost)
        self.smac.tell(self.info, TrialValue(cost=cost, time=outcome.seconds, status=status), save=False)

    def _indices(self, point: Parameters) -> dict[str, str]:
        """The point as SMAC knows it: with the knobs that change nothing beside its others, too."""
        axes = {axis: values for axis, values in self.replay.axes.items() if axis in point or "." not in axis}
        return {axis: str(values.index(point.get(axis, values[0]))) for axis, values in axes.items()}


def _config_space(replay: Replay, seed: int) -> Any:
    """Numbers in their order, all else as choices; a backend's options under the condition that it is chosen."""
    from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, EqualsCondition, OrdinalHyperparameter

    space = ConfigurationSpace(seed=seed)
    axes = {
        axis: (OrdinalHyperparameter if all_numbers(values) else CategoricalHyperparameter)(
            axis, [str(values.index(value)) for value in (sorted(values) if all_numbers(values) else values)]
        )
        for axis, values in replay.axes.items()
    }
    space.add(*axes.values())
    for axis, hyperparameter in axes.items():
        backend, dot, _ = axis.partition(".")
        if dot and "backend" in axes:
            index = str(replay.axes["backend"].index(backend))
            space.add(EqualsCondition(hyperparameter, axes["backend"], index))
    return space


def _nothing(config: Any, seed: int = 0) -> float:
    """Points are asked for and told; SMAC never calls this."""
    raise NotImplementedError


def chosen(replay: Replay, held: Parameters) -> Parameters:
    """The point with these values, of which there may be more than it has."""
    from optuna.trial import FixedTrial

    return replay.choose(FixedTrial(held))


# ------------------------------------------------------------------------------------------------------- by their names


def _random(replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> Searcher:
    from optuna.samplers import RandomSampler

    return Plain(replay, first, RandomSampler(seed=seed))


def _tpe(replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> Searcher:
    from optuna.samplers import TPESampler

    return Plain(replay, first, TPESampler(seed=seed))


def _gp(replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> Searcher:
    from optuna.samplers import GPSampler

    return Penalised(replay, first, GPSampler(seed=seed))


def _hand(replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> Searcher:
    return Hand(replay, first)


def _former(replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> Searcher:
    return Driven(replay, first, samplers.tpe(seed), seed)


def _ours(replay: Replay, first: Sequence[Parameters], seed: int, trials: int, folder: Path) -> Searcher:
    return Driven(replay, first, samplers.make(samplers.SURROGATE, seed, replay.points), seed)


COMPETITORS: dict[str, Callable[[Replay, Sequence[Parameters], int, int, Path], Searcher]] = {
    "random": _random,
    "tpe": _tpe,
    "gp": _gp,
    "smac": Smac,
    "hand": _hand,
    "former": _former,
    OURS: _ours,
}
TITLES = {
    "random": "random",
    "tpe": "Optuna TPE",
    "gp": "Optuna GP",
    "smac": "SMAC3",
    "hand": "by hand",
    "former": "autotune until now",
    OURS: "autotune",
}


@contextlib.contextmanager
def searcher(name: str, replay: Replay, first: Sequence[Parameters], seed: int, trials: int) -> Iterator[Searcher]:
    """One of `COMPETITORS` at its start."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is experimental, which of Optuna's samplers some are
        yield COMPETITORS[name](replay, first, seed, trials, Path(folder))
