"""The posterior of a study's trials: what a Gaussian process makes of all their windows together.

The best of many windows is flattered by luck (the winner's curse). The posterior mean is not: it takes each window for
as much as its noise and its neighbours allow.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from autotune.analysis import stats
from autotune.analysis.selection import Variance
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules
from autotune.core.space_types import Domains
from autotune.study.model import config_diff, gaussian_process, suggest
from autotune.study.model.encoding import EncodedPoints, Matrix, PointEncoder
from autotune.study.ranking import Ranking

TRIAL_NOISE = Variance(0.08**2, 4)
"""The variance of a trial's log rate between trials of the same configuration, beyond its window's own, at first.

It is what the launch and the moment do on the recorded spaces: 0.06 once the drift that the canary shows is taken off,
and what of the drift is left. It is about what blocks of a trial differ by, there and on a quiet machine (0.02), so
that all trials' blocks together tell it better, the more there are.
"""

LITTLE = (math.log(0.001), 0.7)
"""The prior of the variance of further noise (`gaussian_process.fit`): that of a trial is known here.

With the sampler's prior a few trials that differ a lot may all be taken for noise.
"""

LAUNCHES = 0.05**2
"""The least that it is taken for: blocks of one launch do not tell what launches differ by."""

LEAST_TRIALS = 3
DELTA = ConfirmRules().delta
"""The smallest difference of log scores that matters, where no rules are given."""


@dataclass(frozen=True)
class Posterior:
    """Means and variances of the log scores of measured configurations by their key; more is better.

    `covariances` gives those of one place with all.
    """

    places: dict[str, int]
    means: Matrix
    variances: Matrix
    covariances: Callable[[int], Matrix]

    def mean(self, config: Config) -> float:
        """The mean log score of a measured configuration."""
        return float(self.means[self.places[config.key]])

    def score(self, config: Config, confidence: float) -> Estimate:
        """The score of a measured configuration, as it is without the logarithm, with its credible interval."""
        return _interval(self.mean(config), float(self.variances[self.places[config.key]]), confidence)

    def ratio(self, a: Config, b: Config, confidence: float) -> Estimate:
        """The factor by which a is better than b, with its credible interval."""
        middle, deviation = self._difference(a, b)
        return _interval(middle, deviation**2, confidence)

    def chance_to_differ(self, a: Config, b: Config, delta: float) -> float:
        """The chance that two configurations differ by more than delta, as a difference of logarithms."""
        middle, deviation = self._difference(a, b)
        if deviation == 0:
            return float(abs(middle) > delta)
        return float(ndtr((-delta - middle) / deviation) + ndtr((middle - delta) / deviation))

    def _difference(self, a: Config, b: Config) -> tuple[float, float]:
        i, j = self.places[a.key], self.places[b.key]
        variance = 0.0 if i == j else self.variances[i] + self.variances[j] - 2 * self.covariances(j)[i]
        return float(self.means[i] - self.means[j]), math.sqrt(max(0.0, float(variance)))


def posterior(ranking: Ranking, domains: Domains, hw: Hardware) -> Posterior | None:
    """The posterior of the trials that have a score by the first objective; None where none has.

    Of too few trials, and of one outside the space, no more is known than its own window. Of very many the best and
    some of the others are seen together (`gaussian_process.KEPT`); for each of the rest these and its window count.
    """
    measured = [result for result in ranking.distinct if ranking.scores(result) is not None]
    if not measured:
        return None
    points = [suggest.parameters(result.spec.config, domains, hw) for result in measured]
    between, count = trial_variance(ranking), len(measured)
    means = np.array([_score(ranking, result) for result in measured])
    variances = np.array([ranking.noise(result) ** 2 + between for result in measured])
    inside = [place for place, point in enumerate(points) if point is not None]
    rows: dict[int, Callable[[], Matrix]] = {}
    if len(inside) >= LEAST_TRIALS:
        encoded = PointEncoder(suggest.axes(domains)).encode([point for point in points if point is not None])
        means[inside], variances[inside], row = _together(encoded, means[inside], variances[inside])
        rows = {place: functools.partial(row, index) for index, place in enumerate(inside)}

    @functools.cache
    def covariances(place: int) -> Matrix:
        found = np.zeros(count)
        if place in rows:
            found[inside] = rows[place]()
        return found

    return Posterior({one.spec.config.key: i for i, one in enumerate(measured)}, means, variances, covariances)


def _together(points: EncodedPoints, values: Matrix, noise: Matrix) -> tuple[Matrix, Matrix, Callable[[int], Matrix]]:
    """Means, variances and covariances of points with these values, each with this variance of noise."""
    best_first, rng = list(map(int, np.argsort(-values, kind="stable"))), random.Random(0)
    some = gaussian_process.subset(best_first, gaussian_process.FITTED, rng)
    kept = gaussian_process.subset(best_first, gaussian_process.KEPT, rng)
    deviations = np.sqrt(noise)
    theta = gaussian_process.fit(points.rows(some), values[some], deviations[some], further_noise=LITTLE).theta
    process = gaussian_process.fit(points.rows(kept), values[kept], deviations[kept], theta, 0, further_noise=LITTLE)
    means, deviations = process.predict(points)
    variances = deviations**2
    own = variances / (variances + noise + process.further_noise)
    own[kept] = 0.0  # the process has seen them
    row = process.covariances(points)
    return (
        means + own * (values - means),
        (1 - own) * variances,
        lambda index: (1 - own[index]) * (1 - own) * row(index),
    )


def trial_variance(ranking: Ranking) -> float:
    """The variance of a log rate between trials of one configuration, as far as their blocks tell it."""
    logs = [[math.log(rate) for rate in ranking.rates(one)] for one in ranking.distinct if len(one.blocks) > 1]
    df = sum(len(one) - 1 for one in logs)
    within = math.fsum(stats.variance(one) * (len(one) - 1) for one in logs)
    return max(LAUNCHES, (within + TRIAL_NOISE.df * TRIAL_NOISE.value) / (df + TRIAL_NOISE.df))


def kinds(
    candidates: Sequence[TrialResult], known: Posterior, baseline: Config, most: int, delta: float = DELTA
) -> list[TrialResult]:
    """Up to so many of the candidates, the best by the posterior mean, of each kind the simplest one.

    Those of a kind differ as likely as not from its best by no more than delta: what they differ in has no effect that
    was shown.
    """
    best: list[TrialResult] = []
    simplest: list[TrialResult] = []
    for result in sorted(candidates, key=lambda one: -known.mean(one.spec.config)):
        config = result.spec.config
        differ = (known.chance_to_differ(config, one.spec.config, delta) for one in best)
        place = next((place for place, chance in enumerate(differ) if chance < 0.5), None)
        if place is not None:
            simplest[place] = min(simplest[place], result, key=lambda one: config_diff.simplicity(one, baseline))
        elif len(best) < most:
            best.append(result)
            simplest.append(result)
    return simplest


def _interval(middle: float, variance: float, confidence: float) -> Estimate:
    half = float(ndtri(0.5 + confidence / 2)) * math.sqrt(max(0.0, variance))
    return stats.from_logs(Estimate(estimate=middle, low=middle - half, high=middle + half))


def _score(ranking: Ranking, result: TrialResult) -> float:
    scores = ranking.scores(result)
    assert scores is not None
    return scores[0]
