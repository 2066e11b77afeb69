"""Confidence intervals of log rates (every difference is a ratio), of percentiles, and components of variance.

The t quantile comes from scipy.special: scipy.stats costs 1.4 s and 60 MB at import.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence

from scipy.special import bdtr, stdtrit

from autotune.core.estimate import Estimate

PERCENTILE_CONFIDENCE = 0.99


def interval(rates: Sequence[float], confidence: float) -> Estimate:
    """The median of the blocks of a window, with the half-width of Student's t interval (one rate: no interval).

    A neighbour's burst makes a block slow and never fast, so that the median of few blocks repeats better than their
    mean (0.57 against 0.76 of the spread of 100 calls, docs/log.md). Of Gaussian noise the interval would cover 81 %
    where 90 % is asked for; it stops trials and describes a window, nothing is claimed from it.
    """
    return from_logs(_around_the_median([math.log(rate) for rate in rates], confidence))


def _around_the_median(values: Sequence[float], confidence: float) -> Estimate:
    middle = statistics.median(values)
    around = mean(values, confidence)
    if around.low is None or around.high is None:
        return Estimate(estimate=middle, low=None, high=None)
    half = (around.high - around.low) / 2
    return Estimate(estimate=middle, low=middle - half, high=middle + half)


def mean(values: Sequence[float], confidence: float) -> Estimate:
    """The mean of any values with Student's t interval over them (one value: no interval)."""
    middle = math.fsum(values) / len(values)
    if len(values) < 2:
        return Estimate(estimate=middle, low=None, high=None)
    half = t_quantile(confidence, len(values) - 1) * math.sqrt(variance(values) / len(values))
    return Estimate(estimate=middle, low=middle - half, high=middle + half)


def moderated_mean(values: Sequence[float], confidence: float, known: float, weight: float) -> Estimate:
    """The mean of values with an interval that also uses a variance known from elsewhere: Smyth's moderated t (2004).

    The variance is the mean of their own and of the known one, weighted by their degrees of freedom, which add up;
    `weight` is that of the known one. Without any there is no interval.
    """
    middle, own = math.fsum(values) / len(values), len(values) - 1
    if own + weight <= 0:
        return Estimate(estimate=middle, low=None, high=None)
    pooled = ((own * variance(values) if own else 0.0) + weight * known) / (own + weight)
    half = t_quantile(confidence, own + weight) * math.sqrt(pooled / len(values))
    return Estimate(estimate=middle, low=middle - half, high=middle + half)


def summed(a: Estimate, b: Estimate) -> Estimate:
    """The sum of two independent estimates, with an interval from those of both (MOVER: Zou and Donner 2008, eq. 4)."""
    middle = a.estimate + b.estimate
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(estimate=middle, low=None, high=None)
    below, above = (
        math.hypot(a.estimate - a.low, b.estimate - b.low),
        math.hypot(a.high - a.estimate, b.high - b.estimate),
    )
    return Estimate(estimate=middle, low=middle - below, high=middle + above)


def from_logs(logs: Estimate) -> Estimate:
    """The rate or ratio whose logarithm is estimated."""
    if logs.low is None or logs.high is None:
        return Estimate(estimate=math.exp(logs.estimate), low=None, high=None)
    return Estimate(estimate=math.exp(logs.estimate), low=math.exp(logs.low), high=math.exp(logs.high))


def ratio(rates: Sequence[float], base: Sequence[float], confidence: float) -> Estimate:
    """The ratio of two windows' median rates, with the half-width of Welch's interval.

    Welch's: unequal variances, Satterthwaite's degrees of freedom.
    """
    a, b = [math.log(rate) for rate in rates], [math.log(rate) for rate in base]
    difference = statistics.median(a) - statistics.median(b)
    if len(a) < 2 or len(b) < 2:
        return Estimate(estimate=math.exp(difference), low=None, high=None)
    va, vb = variance(a) / len(a), variance(b) / len(b)
    if va + vb == 0:
        return Estimate(estimate=math.exp(difference), low=math.exp(difference), high=math.exp(difference))
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = t_quantile(confidence, df) * math.sqrt(va + vb)
    return from_logs(Estimate(estimate=difference, low=difference - half, high=difference + half))


def half_width(rates: Sequence[float], confidence: float) -> float:
    """Half the width of the rates' interval relative to their mean: 0.05 is ±5 %; infinite for one rate."""
    estimate = interval(rates, confidence)
    if estimate.low is None or estimate.high is None:
        return math.inf
    return math.log(estimate.high / estimate.low) / 2


# -------------------------------------------------------------------------------------------------- percentiles


def calls_over(calls: int, percentile: float, confidence: float = PERCENTILE_CONFIDENCE) -> int | None:
    """The number of calls that may lie above a latency claimed as the percentile; None: too few calls for a claim.

    The largest t for which t or fewer calls over the true percentile would be seen with a probability of at most
    1 − confidence: MLPerf loadgen's early-stopping rule with no tolerance (44, 90 and 459 calls for t = 0 of p90, p95
    and p99). The (t+1)-th largest latency is then an upper bound of the percentile at that confidence.
    """
    count = bisect.bisect_right(range(calls), 1 - confidence, key=lambda over: float(bdtr(over, calls, 1 - percentile)))
    return count - 1 if count else None


def calls_needed(percentile: float, confidence: float = PERCENTILE_CONFIDENCE) -> int:
    """The fewest calls that back a percentile: 44, 90 and 459 for p90, p95 and p99."""
    return math.ceil(math.log(1 - confidence) / math.log(percentile))


# ------------------------------------------------------------------------------------------------------ runs


def optimal_rounds(start_s: float, round_s: float, within: float, between: float) -> float:
    """The rounds of an interleaved run: √((c₂/c₁)·(T₁²/T₂²)), Kalibera and Jones (ISMM 2013), eq. 3.

    c₂ and c₁ are the seconds of starting a run and of a round; T₁² is the variance of rounds within a run, T₂²
    that of interleaved runs beyond what their rounds explain; infinite where interleaved runs do not differ.
    """
    return math.inf if between <= 0 else math.sqrt(start_s / round_s * within / between)


def variance_components(runs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The variances (within a run, between runs) of values by run; 0 where they cannot be told.

    Between is what the spread of the interleaved runs' means leaves after their own noise; never negative.
    """
    inside = [(variance(values), len(values)) for values in runs if len(values) > 1]
    if not inside or len(runs) < 2:
        return 0.0, 0.0
    within = math.fsum(v * (n - 1) for v, n in inside) / sum(n - 1 for _, n in inside)
    means = [math.fsum(values) / len(values) for values in runs]
    noise = math.fsum(within / len(values) for values in runs) / len(runs)
    return within, max(0.0, variance(means) - noise)


def t_quantile(confidence: float, df: float) -> float:
    """Student's t for a two-sided interval."""
    return float(stdtrit(df, 0.5 + confidence / 2))


def variance(values: Sequence[float]) -> float:
    """The sample variance (n − 1) of two values or more."""
    middle = math.fsum(values) / len(values)
    return math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)
