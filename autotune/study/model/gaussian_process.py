"""A Gaussian process over encoded points: it predicts a figure, and how sure that is, where nothing was measured.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006): equations 2.25 and 2.26 predict, 5.8 and 5.9
are the likelihood and its gradient. The kernel falls exponentially with the weighted number of settings in which two
points differ; each setting's weight is learned (automatic relevance), so one that does nothing comes to weigh nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.study.model.encoding import EncodedPoints, Matrix

LEAST = 1e-6
ALIKE = 1e-9
"""Values that differ by less, as a part of their mean, are equal but for rounding."""

PRIOR_WEIGHT = (math.log(0.3), 1.0)
"""Mean and deviation of the logarithm of a setting's weight."""

PRIOR_VARIANCE = (0.0, 0.7)
PRIOR_NOISE = (math.log(0.01), 1.5)
"""The same for the variances of the figure and of its noise, where the figure is scaled to a variance of 1."""

FAR = 4.0
"""So many deviations of its prior from the mean is as far as a parameter goes."""

STEPS = 40

FITTED = 150
"""A process is fitted on at most so many points, the best and some of the others, and predicts from `KEPT`."""

KEPT = 500


@dataclass(frozen=True)
class Process:
    """A process that was fitted; figures are in the units that it was given."""

    theta: Matrix
    points: EncodedPoints
    centre: float
    scale: float
    inverse: Matrix
    alpha: Matrix

    def predict(self, points: EncodedPoints) -> tuple[Matrix, Matrix]:
        """The mean and the deviation of the figure at points, noise left out."""
        weights, variance = np.exp(self.theta[:-2]), math.exp(self.theta[-2])
        kernel = variance * np.exp(-points.distances(self.points, weights))
        means = kernel @ self.alpha
        left = variance - np.einsum("ij,ij->i", kernel @ self.inverse, kernel)
        return self.centre + self.scale * means, self.scale * np.sqrt(np.maximum(left, LEAST))

    def covariances(self, points: EncodedPoints) -> Callable[[int], Matrix]:
        """The covariances of the figure at one of the points, by its index, with all of them, noise left out."""
        weights, variance = np.exp(self.theta[:-2]), math.exp(self.theta[-2])
        cross = variance * np.exp(-points.distances(self.points, weights))

        def row(index: int) -> Matrix:
            own = variance * np.exp(-points.rows([index]).distances(points, weights)[0])
            return np.asarray(self.scale**2 * (own - cross @ (self.inverse @ cross[index])))

        return row

    @property
    def further_noise(self) -> float:
        """The variance of the noise that was found besides."""
        return self.scale**2 * math.exp(self.theta[-1])


def subset(best_first: Sequence[int], most: int, rng: random.Random) -> list[int]:
    """These indices, rising, or of many the best half of `most` and as many of the others, drawn."""
    chosen = list(best_first)
    if len(chosen) > most:
        chosen = [*chosen[: most // 2], *rng.sample(chosen[most // 2 :], most - most // 2)]
    return sorted(chosen)


def fit(
    points: EncodedPoints,
    values: Matrix,
    noise: Matrix,
    start: Matrix | None = None,
    steps: int = STEPS,
    *,
    further_noise: tuple[float, float] = PRIOR_NOISE,
) -> Process:
    """The process behind values that have a deviation of noise each, in the same units; it finds the noise besides.

    `start` is the `theta` of an earlier fit to go on from, `further_noise` the prior of what is found besides.
    """
    centre, spread = float(values.mean()), float(values.std())
    scale = spread if spread > ALIKE * (1 + abs(centre)) else 1.0
    scaled, known = (values - centre) / scale, (noise / scale) ** 2
    means, deviations = _prior(len(points.encoder.names), further_noise)
    theta = means if start is None else start
    if steps:
        from scipy.optimize import minimize

        reach = list(zip(means - FAR * deviations, means + FAR * deviations, strict=True))
        data = points.distances_by_dimension(), scaled, known, means, deviations
        theta = minimize(_loss, theta, data, "L-BFGS-B", jac=True, bounds=reach, options={"maxiter": steps}).x
    weights, variance, unexplained = np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1])
    kernel = variance * np.exp(-points.distances(points, weights))
    inverse = _inverse(kernel + np.diag(known + unexplained))
    return Process(theta, points, centre, scale, inverse, inverse @ scaled)


def _loss(
    theta: Matrix, distances: Matrix, values: Matrix, known: Matrix, means: Matrix, deviations: Matrix
) -> tuple[float, Matrix]:
    """The negative logarithm of likelihood times prior, and its gradient."""
    weights, variance, unexplained = np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1])
    kernel = variance * np.exp(-np.tensordot(weights, distances, axes=1))
    whole = kernel + np.diag(known + unexplained)
    inverse = _inverse(whole)
    alpha = inverse @ values
    slope = 0.5 * (inverse - np.outer(alpha, alpha))
    by_kernel = slope * kernel
    gradient = np.concatenate(
        [
            -weights * np.tensordot(distances, by_kernel, axes=2),
            [by_kernel.sum(), unexplained * np.trace(slope)],
        ]
    )
    away = (theta - means) / deviations
    loss = 0.5 * (values @ alpha + np.linalg.slogdet(whole)[1] + away @ away)
    return float(loss), gradient + away / deviations


def _prior(settings: int, further_noise: tuple[float, float]) -> tuple[Matrix, Matrix]:
    """Means and deviations of the parameters' logarithms."""
    pairs = [PRIOR_WEIGHT] * settings + [PRIOR_VARIANCE, further_noise]
    means, deviations = np.array(pairs).T
    return means, deviations


def _inverse(matrix: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(matrix + LEAST * np.eye(len(matrix))), dtype=np.float64)
