"""The sampler that autotune searches with: a model of the rate, and of what fails."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from autotune.study.search import gaussian_process
from autotune.study.search.failure_model import FailureModel
from autotune.study.search.gaussian_process import Process
from autotune.study.search.points import Encoded, Encoding, Matrix, Parameters, Points

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

ALL = 5000
"""Up to so many points all are looked at for each proposal; of more, `SOME` random ones and those near the best."""

SOME, FRESH = 2000, 500
"""So many of the random ones are new in each proposal; the others are the last ones before."""

NEAR = 5
FIRST = 4
"""The model is asked as soon as so many points were measured."""

OPENINGS = 12
"""In so many proposals a gain counts the more, the more of a point's settings were never tried."""

FITTED = 150
"""The model is fitted on at most so many points, the best and some of the others, and predicts from `KEPT`."""

KEPT = 500
EVERY = 20
"""With n trials the model's own parameters are fitted anew after n / EVERY more."""

DOUBTFUL = 0.3
"""What runs, and keeps the limits, with a smaller chance comes after all others: its gain would never be measured."""

LEAST = 1e-12
UNSURE = 0.1
"""How far a trial keeps or breaks a limit by chance, as a part of the limit."""

FAR = 3.0
"""So far inside or beyond a limit, by the inverse hyperbolic sine of the excess, is as good as farther."""


@dataclass
class Seen:
    """What is known of the trials so far.

    `excess` is by how much each point that runs breaks its worst limit; `proposed` counts those that were not planned.
    """

    points: list[Parameters] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    violation: list[float] = field(default_factory=list)
    failed: list[Parameters] = field(default_factory=list)
    proposed: int = 0

    @cached_property
    def order(self) -> list[int]:
        """The places of the points, the best first; of those that break a limit the one that breaks it least."""
        return sorted(range(len(self.points)), key=lambda place: (max(self.violation[place], 0.0), -self.scores[place]))


class Surrogate(BaseSampler):
    """Proposes the point with the largest expected gain, of those that were not tried.

    Trials may bear a user attribute `noise`, the deviation of the logarithm of the measured figure. A trial told PRUNED
    failed; constraints above 0 are limits that are broken, and while all are, what keeps them is looked for. Of several
    objectives a random weighting is improved at a time (ParEGO, Knowles 2006).
    """

    def __init__(self, points: Points, seed: int) -> None:
        self.points = points
        self.gain: float | None = None
        self._dice = random.Random(seed)
        self._independent = RandomSampler(seed=seed)
        self._encoding = Encoding(points.axes)
        self._theta: dict[str, tuple[int, Matrix]] = {}
        self._all: tuple[list[Parameters], Encoded] | None = None
        self._drawn: list[Parameters | None] = []
        self._points: dict[int, Parameters | None] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters, whatever a trial's backend has of them."""
        if "fixed_params" in trial.system_attrs:
            return {}
        return {name: CategoricalDistribution(values) for name, values in self.points.axes.items() if len(values) > 1}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the proposed point."""
        if not search_space:
            return {}
        return {name: value for name, value in self.propose(study).items() if name in search_space}

    def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        """A random value, for what the points do not have."""
        return self._independent.sample_independent(study, trial, name, distribution)

    def propose(self, study: Study) -> Parameters:
        """The next point to try; `gain` is then what is expected of it, as a difference of logarithms.

        It is None of what tries something new, while no limit is kept, and of several objectives.
        """
        seen, tried = self._read(study)
        points, encoded = self._candidates(seen)
        fresh = [place for place, point in enumerate(points) if _key(point) not in tried]
        self.gain = None
        if not fresh:
            return self._dice.choice(points) if points else {}
        points, encoded = [points[place] for place in fresh], encoded.rows(fresh)
        works = FailureModel(seen.failed, seen.points).works(points)
        news, seldom = self._untried(seen, points)
        if len(seen.points) < FIRST:
            return points[int(np.argmax((news + seldom) * works))]
        known = self._encoding.encode(seen.points)
        chances = works * self._keeps(seen, known, encoded)
        gains = self._gains(seen, known, encoded) * np.where(chances < DOUBTFUL, chances * LEAST, chances)
        if news.any() and seen.proposed < OPENINGS:
            return points[int(np.lexsort((seldom, gains * (1 + news)))[-1])]
        best = int(np.lexsort((seldom, gains))[-1])  # while no limit is within reach all gains are equal
        if min(seen.violation) <= 0 and len(study.directions) == 1:
            self.gain = float(gains[best])
        return points[best]

    def _read(self, study: Study) -> tuple[Seen, set[frozenset[Any]]]:
        signs = [1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions]
        weights = [self._dice.expovariate(1) for _ in signs]
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        seen, tried = Seen(), set()
        rows: list[list[float]] = []
        for trial in study.get_trials(deepcopy=False, states=states):
            point = self._point(trial)
            if point is None:
                continue
            tried.add(_key(point))
            seen.proposed += "fixed_params" not in trial.system_attrs
            if trial.state == TrialState.PRUNED:
                seen.failed.append(point)
                continue
            rows.append([sign * value for sign, value in zip(signs, trial.values, strict=True)])
            seen.points.append(point)
            seen.noise.append(float(trial.user_attrs.get("noise", 0.0)))
            violation = math.asinh(max(trial.constraints.values(), default=-math.inf))
            seen.violation.append(min(max(violation, -FAR), FAR))
        seen.scores, unit = _scalarised([_logs(column) for column in zip(*rows, strict=True)], weights)
        seen.noise = [noise * unit for noise in seen.noise]
        return seen, tried

    def _point(self, trial: FrozenTrial) -> Parameters | None:
        """A trial's point; None where it is outside the space, as a baseline may be, or of another version."""
        if trial.number not in self._points:
            outside = not trial.params and bool(self.points.axes)
            self._points[trial.number] = None if outside else self.points.whole(dict(trial.params))
        return self._points[trial.number]

    def _candidates(self, seen: Seen) -> tuple[list[Parameters], Encoded]:
        total = len(self.points)
        if total <= ALL:
            if self._all is None:
                points = _distinct(self.points.at(place) for place in range(total))
                self._all = points, self._encoding.encode(points)
            return self._all
        count = FRESH if self._drawn else SOME
        fresh = [self.points.at(self._dice.randrange(total)) for _ in range(count)]
        self._drawn = [*fresh, *self._drawn][:SOME]
        best = [seen.points[place] for place in seen.order[:NEAR]]
        near = [point for one in best for point in self.points.near(one, self._dice)]
        points = _distinct([*near, *self._drawn])
        return points, self._encoding.encode(points)

    def _untried(self, seen: Seen, points: Sequence[Parameters]) -> tuple[Matrix, Matrix]:
        """How many settings of each point were not tried, and how seldom all of them were, at most 1.

        Of numbers only the ends count: the model knows what lies between them.
        """
        tried = Counter(item for point in [*seen.points, *seen.failed] for item in point.items())
        marked = self._encoding.marked
        news = [sum(item in marked and not tried[item] for item in point.items()) for point in points]
        seldom = [sum(1 / (1 + tried[item]) for item in point.items()) / max(len(point), 1) for point in points]
        luck = [1e-3 * self._dice.random() for _ in points]
        return np.array(news, dtype=float), np.array(seldom) + luck

    def _gains(self, seen: Seen, known: Encoded, candidates: Encoded) -> Matrix:
        """The expected improvement (Jones, Schonlau and Welch 1998) over the best mean of a feasible point.

        While there is none, all are equal: the chance to keep the limits decides.
        """
        feasible = np.flatnonzero(np.array(seen.violation) <= 0)
        if not len(feasible):
            return np.ones(len(candidates))
        process = self._fitted("score", seen, known, np.array(seen.scores), np.array(seen.noise))
        best = process.predict(known.rows(feasible))[0].max()
        means, deviations = process.predict(candidates)
        return expected_gain(means - best, deviations)

    def _keeps(self, seen: Seen, known: Encoded, candidates: Encoded) -> Matrix:
        """The chance that each candidate keeps the limits."""
        if max(seen.violation) <= 0:
            return np.ones(len(candidates))
        from scipy.special import ndtr

        process = self._fitted("excess", seen, known, np.array(seen.violation), np.full(len(known), UNSURE))
        means, deviations = process.predict(candidates)
        return np.asarray(np.maximum(ndtr(-means / deviations), LEAST))

    def _fitted(self, name: str, seen: Seen, known: Encoded, values: Matrix, noise: Matrix) -> Process:
        count = len(values)
        fitted_at, theta = self._theta.get(name, (0, None))
        kept = self._chosen(seen, KEPT)
        if count - fitted_at > fitted_at // EVERY or theta is None:
            some = self._chosen(seen, FITTED)
            theta = gaussian_process.fit(known.rows(some), values[some], noise[some], theta).theta
            self._theta[name] = count, theta
        return gaussian_process.fit(known.rows(kept), values[kept], noise[kept], theta, steps=0)

    def _chosen(self, seen: Seen, most: int) -> list[int]:
        """All trials, or of many the best half of `most` and as many of the others."""
        count = len(seen.points)
        if count <= most:
            return list(range(count))
        order = seen.order
        return sorted([*order[: most // 2], *self._dice.sample(order[most // 2 :], most - most // 2)])


def expected_gain(ahead: Matrix, deviations: Matrix) -> Matrix:
    """The expected part above 0 of normal variables with these means and deviations."""
    from scipy.special import ndtr

    z = ahead / deviations
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray(np.maximum(deviations * (z * ndtr(z) + density), LEAST))


def _scalarised(columns: Sequence[Matrix], weights: Sequence[float]) -> tuple[list[float], float]:
    """One score a trial, and what a difference of logarithms is in its units.

    With several objectives that is the weighted worst of them, each on a scale from 0 to 1.
    """
    if len(columns) < 2:
        return [float(value) for column in columns for value in column], 1.0
    table = np.column_stack(columns)
    width = np.ptp(table, axis=0)
    units = np.array(weights) / sum(weights) / np.where(width > 0, width, 1.0)
    scaled = (table - table.max(axis=0)) * units
    return list(map(float, scaled.min(axis=1) + 0.05 * scaled.sum(axis=1))), float(units.max())


def _logs(scores: Sequence[float]) -> Matrix:
    """An objective, more being better, as signed logarithms, so that ratios count; as it is where signs differ.

    One that is 0 counts as a tenth of the least other one.
    """
    values = np.array(scores)
    sizes = np.abs(values)
    if values.min() < 0 < values.max() or not sizes.any():
        return values
    logs = np.log(np.maximum(sizes, sizes[sizes > 0].min() / 10))
    return np.asarray(logs if values.max() > 0 else -logs)


def _key(point: Parameters) -> frozenset[Any]:
    return frozenset(point.items())


def _distinct(points: Any) -> list[Parameters]:
    return list({_key(point): point for point in points if point is not None}.values())
