"""The sampler that autotune searches with: a model of the rate, of the limits, and of failures."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler

from autotune.study.model import gaussian_process
from autotune.study.model.encoding import EncodedPoints, Matrix, PointEncoder
from autotune.study.model.gaussian_process import Process
from autotune.study.model.points import Parameters, Points
from autotune.study.search.failure_model import FailureModel
from autotune.study.search.observations import Observations, Reader, distinct, key

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

EVERY = 20
"""With n trials the model's own parameters are fitted anew after n / EVERY more."""

DOUBTFUL = 0.3
"""A point whose chance to run and to keep the limits is smaller comes after all others: it is hardly ever measured."""

LEAST = 1e-12
UNSURE = 0.1
"""The deviation of a violation from one trial to the next, as a part of the limit."""


class Surrogate(BaseSampler):
    """Proposes the point with the largest expected gain, of those that were not tried.

    Trials may bear a user attribute `noise`, the deviation of the logarithm of the measured figure. A trial told PRUNED
    failed; constraints above 0 are limits that are violated, and while all are, points that keep them are looked for.
    Of several objectives a random weighting is improved at a time (ParEGO, Knowles 2006).
    """

    def __init__(self, points: Points, seed: int) -> None:
        self.points = points
        self.gain: float | None = None
        self._rng = random.Random(seed)
        self._independent = RandomSampler(seed=seed)
        self._encoder = PointEncoder(points.axes)
        self._reader = Reader(points)
        self._theta: dict[str, tuple[int, Matrix]] = {}
        self._all: tuple[list[Parameters], EncodedPoints] | None = None
        self._drawn: list[Parameters | None] = []

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
        """A random value, for a parameter that the points do not have."""
        return self._independent.sample_independent(study, trial, name, distribution)

    # ------------------------------------------------------------------------------------------------- the proposal

    def propose(self, study: Study) -> Parameters:
        """The next point to try; `gain` is then the largest gain expected of any, as a difference of logarithms.

        `gain` is None of the first points, while no limit is kept, and with several objectives.
        """
        self.gain = None
        weights = [self._rng.expovariate(1) for _ in study.directions]
        seen = self._reader.read(study, weights)
        every, every_encoded = self._candidates(seen)
        wrong = [settings.items() for settings in seen.wrong]
        untried = [
            i
            for i, point in enumerate(every)
            if key(point) not in seen.tried and not any(settings <= point.items() for settings in wrong)
        ]
        if not untried:
            return self._rng.choice(every) if every else {}
        points, encoded = [every[i] for i in untried], every_encoded.rows(untried)

        runs = FailureModel(seen.failed, seen.points).works(points)
        new_settings, rarity = self._novelty(seen, points)
        if len(seen.points) < FIRST:
            return points[int(np.argmax((new_settings + rarity) * runs))]
        gains = self._expected_gains(seen, runs, encoded)
        if min(seen.violation) <= 0 and len(study.directions) == 1:
            self.gain = float(gains.max())
        if new_settings.any() and seen.proposed < OPENINGS:
            gains = gains * (1 + new_settings)
        return points[_largest(gains, rarity)]

    def _candidates(self, seen: Observations) -> tuple[list[Parameters], EncodedPoints]:
        """The points to choose from: all of a small space; of a large one random ones, and those near the best."""
        total = len(self.points)
        if total <= ALL:
            if self._all is None:
                points = distinct(self.points.at(index) for index in range(total))
                self._all = points, self._encoder.encode(points)
            return self._all
        count = FRESH if self._drawn else SOME
        drawn = [self.points.at(self._rng.randrange(total)) for _ in range(count)]
        self._drawn = [*drawn, *self._drawn][:SOME]
        best = [seen.points[i] for i in seen.best_first[:NEAR]]
        near = [point for one in best for point in self.points.neighbours(one, self._rng)]
        points = distinct([*near, *self._drawn])
        return points, self._encoder.encode(points)

    def _novelty(self, seen: Observations, points: Sequence[Parameters]) -> tuple[Matrix, Matrix]:
        """The number of each point's settings that were never tried, and how rare all of them are, at most 1.

        Of numbers only the ends count: the model knows what lies between them. A little luck tells equals apart.
        """
        times = Counter(setting for point in [*seen.points, *seen.failed] for setting in point.items())
        landmarks = self._encoder.landmarks
        new = [sum(setting in landmarks and not times[setting] for setting in point.items()) for point in points]
        rarity = [sum(1 / (1 + times[setting]) for setting in point.items()) / max(len(point), 1) for point in points]
        luck = [1e-3 * self._rng.random() for _ in points]
        return np.array(new, dtype=float), np.array(rarity) + luck

    # ---------------------------------------------------------------------------------------------------- the models

    def _expected_gains(self, seen: Observations, runs: Matrix, candidates: EncodedPoints) -> Matrix:
        """The gain of each candidate times its chance to be had: that it runs, as given, and keeps the limits."""
        known = self._encoder.encode(seen.points)
        chances = runs * self._chances_to_satisfy(seen, known, candidates)
        return self._improvements(seen, known, candidates) * np.where(chances < DOUBTFUL, chances * LEAST, chances)

    def _improvements(self, seen: Observations, known: EncodedPoints, candidates: EncodedPoints) -> Matrix:
        """The expected improvement (Jones, Schonlau and Welch 1998) over the best mean of a feasible point.

        While there is none, all are equal: the chance to keep the limits decides.
        """
        feasible = np.flatnonzero(np.array(seen.violation) <= 0)
        if not len(feasible):
            return np.ones(len(candidates))
        process = self._process("score", seen, known, np.array(seen.scores), np.array(seen.noise))
        best = process.predict(known.rows(feasible))[0].max()
        means, deviations = process.predict(candidates)
        return expected_improvement(means - best, deviations)

    def _chances_to_satisfy(self, seen: Observations, known: EncodedPoints, candidates: EncodedPoints) -> Matrix:
        """The chance that each candidate keeps the limits."""
        if max(seen.violation) <= 0:
            return np.ones(len(candidates))
        from scipy.special import ndtr

        noise = np.full(len(known), UNSURE)
        process = self._process("violation", seen, known, np.array(seen.violation), noise)
        means, deviations = process.predict(candidates)
        return np.asarray(np.maximum(ndtr(-means / deviations), LEAST))

    def _process(self, name: str, seen: Observations, known: EncodedPoints, values: Matrix, noise: Matrix) -> Process:
        """The Gaussian process of a figure; its own parameters are fitted only now and then."""
        count = len(values)
        fitted_at, theta = self._theta.get(name, (0, None))
        kept = gaussian_process.subset(seen.best_first, gaussian_process.KEPT, self._rng)
        if count - fitted_at > fitted_at // EVERY or theta is None:
            some = gaussian_process.subset(seen.best_first, gaussian_process.FITTED, self._rng)
            theta = gaussian_process.fit(known.rows(some), values[some], noise[some], theta).theta
            self._theta[name] = count, theta
        return gaussian_process.fit(known.rows(kept), values[kept], noise[kept], theta, steps=0)


def expected_improvement(ahead: Matrix, deviations: Matrix) -> Matrix:
    """The expected part above 0 of normal variables with these means and deviations."""
    from scipy.special import ndtr

    z = ahead / deviations
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray(np.maximum(deviations * (z * ndtr(z) + density), LEAST))


def _largest(gains: Matrix, rarity: Matrix) -> int:
    """The index of the largest gain, of equal ones the rarest: while no limit is within reach all are equal."""
    return int(np.lexsort((rarity, gains))[-1])
