"""Ranking and selection: Kim and Nelson's elimination of slower configurations by rounds, and verdicts on pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autotune.analysis import stats
from autotune.core.confirmation import Verdict
from autotune.core.estimate import Estimate
from autotune.core.rules import ConfirmRules


class Variance(NamedTuple):
    """A variance and its degrees of freedom; none where it is not known."""

    value: float = 0.0
    df: float = 0


UNKNOWN = Variance()
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Owners = np.ndarray[Any, np.dtype[np.int64]]


def h_squared(systems: int, first_stage: int, alpha: float) -> float:
    """h² = 2·eta·(n0 − 1) with eta = ½[(2·alpha/(k − 1))^(−2/(n0 − 1)) − 1]: Kim and Nelson 2001, c = 1."""
    eta = (math.pow(2 * alpha / (systems - 1), -2 / (first_stage - 1)) - 1) / 2
    return 2 * eta * (first_stage - 1)


def surviving(rounds: Mapping[str, Sequence[float]], rules: ConfirmRules, systems: int | None = None) -> set[str]:
    """The systems that are not eliminated after these rounds (log rates, of equal number and in order).

    `systems` is the number that there were at first, where some were dropped already.

    A system is dropped at the first round r >= n0 at which its sum is behind another's by more than
    max(0, (delta/2)(h²S²/delta² − r)), S² being the variance of their paired differences over the first n0 rounds. One
    system always survives.
    """
    alive = set(rounds)
    n0 = rules.first_stage
    if len(alive) < 2 or (count := min(map(len, rounds.values()))) < n0:
        return alive
    h2 = h_squared(systems or len(rounds), n0, rules.alpha)
    spread = {
        (i, j): stats.variance([a - b for a, b in zip(rounds[i][:n0], rounds[j][:n0], strict=True)])
        for i, j in itertools.permutations(rounds, 2)
    }
    sums = {name: list(itertools.accumulate(values)) for name, values in rounds.items()}
    for r in range(n0, count + 1):
        behind = {
            i
            for i, j in itertools.permutations(sorted(alive), 2)
            if sums[i][r - 1] - sums[j][r - 1] < -_bound(spread[i, j], h2, r, rules.delta)
        }
        alive -= behind
    return alive


def _bound(spread: float, h2: float, r: int, delta: float) -> float:
    return max(0.0, delta / 2 * (h2 * spread / delta**2 - r))


def paired_difference(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], confidence: float, known: Variance = UNKNOWN
) -> Estimate:
    """The mean difference of log rates a − b with its t interval over runs, given the rounds of each run.

    `known` is the variance of such differences between other candidates of the same runs.
    """
    return stats.moderated_mean(_differences(a, b), confidence, known.value, known.df)


def paired_variance(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> float:
    """The variance over runs of the mean difference of log rates in each."""
    return stats.variance(_differences(a, b))


def _differences(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> list[float]:
    return [
        math.fsum(x - y for x, y in zip(one, other, strict=True)) / len(one)
        for one, other in zip(a, b, strict=True)
        if one
    ]


class BlockDesign(NamedTuple):
    """The levels of candidates that were measured in the same runs, NaN of one without a block; and the noise.

    `covariance` is that of the levels as a multiple of the residual variance (candidates × candidates), NaN between
    those that no runs connect.
    """

    levels: tuple[float, ...]
    noise: Variance
    covariance: Matrix

    def difference(self, i: int, j: int, confidence: float, known: Variance) -> Estimate:
        """The level of i less that of j with its t interval by a known variance of a difference in a run.

        It needs no run that has both: others that each was measured with lead from one to the other. NaN without them.
        """
        middle = self.levels[i] - self.levels[j]
        factor = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        if math.isnan(middle) or math.isnan(factor):
            return Estimate(estimate=math.nan, low=None, high=None)
        half = stats.t_quantile(confidence, known.df) * math.sqrt(known.value / 2 * max(0.0, float(factor)))
        return Estimate(estimate=middle, low=middle - half, high=middle + half)


def block_design(means: Sequence[Sequence[float | None]]) -> BlockDesign:
    """The analysis of a randomised block design, the runs being the blocks, given each candidate's mean in each run.

    By least squares each candidate and each run have a level. `noise` is the variance of the difference of two
    candidates in a run: twice the residual variance. None stands where a candidate has no block in a run.
    """
    cells = [(i, j, mean) for i, row in enumerate(means) for j, mean in enumerate(row) if mean is not None]
    if not cells:
        return BlockDesign((math.nan,) * len(means), UNKNOWN, np.zeros((len(means), len(means))))
    rows, columns, values = (np.array(column) for column in zip(*cells, strict=True))
    design = np.column_stack([np.eye(len(means))[rows], np.eye(columns.max() + 1)[columns]])
    solution, _, rank, _ = np.linalg.lstsq(design, values)
    levels = tuple(float(solution[i]) if i in rows else math.nan for i in range(len(means)))
    df, residual = len(values) - int(rank), values - design @ solution
    noise = Variance(2 * float(residual @ residual) / df, df) if df > 0 else UNKNOWN
    covariance = np.linalg.pinv(design.T @ design)[: len(means), : len(means)]
    return BlockDesign(levels, noise, np.where(_connected(design[:, : len(means)], columns), covariance, math.nan))


def _connected(candidates: Matrix, runs: Owners) -> Matrix:
    """True where a chain of runs, each with a candidate in common with the next, has both candidates."""
    together = candidates.T @ np.eye(runs.max() + 1)[runs]
    steps = np.eye(len(together)) + together @ together.T
    return np.asarray(np.linalg.matrix_power((steps > 0).astype(float), len(together)) > 0)


def leads_by(difference: Estimate, delta: float) -> bool:
    """True if a difference is shown to be above 0, and seems to be above delta."""
    return difference.low is not None and difference.low > 0 and difference.estimate > delta


def verdict(difference: Estimate, delta: float) -> Verdict:
    """A tie if the interval lies within ±delta, undecided if it contains 0 and reaches beyond (or does not exist)."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        return "undecided"
    if -delta <= low and high <= delta:
        return "tie"
    if low <= 0 <= high:
        return "undecided"
    return "faster" if low > 0 else "slower"
