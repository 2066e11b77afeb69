"""Statistics as pure functions on log rates, so that every difference is a ratio.

The t quantile comes from scipy.special: scipy.stats costs 1.4 s and 60 MB at import.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from scipy.special import stdtrit

from autotune.results import Estimate
from autotune.types import MeasureRules


def interval(rates: Sequence[float], confidence: float) -> Estimate:
    """The geometric mean of positive rates with Student's t interval over them (one rate: no interval)."""
    logs = [math.log(rate) for rate in rates]
    mean = math.fsum(logs) / len(logs)
    if len(logs) < 2:
        return Estimate(estimate=math.exp(mean), low=None, high=None)
    half = _quantile(confidence, len(logs) - 1) * math.sqrt(_variance(logs, mean) / len(logs))
    return Estimate(estimate=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half))


def ratio(rates: Sequence[float], base: Sequence[float], confidence: float) -> Estimate:
    """How many times faster `rates` is than `base`, with Welch's interval (unequal variances, Satterthwaite's df)."""
    a, b = [math.log(rate) for rate in rates], [math.log(rate) for rate in base]
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    difference = mean_a - mean_b
    if len(a) < 2 or len(b) < 2:
        return Estimate(estimate=math.exp(difference), low=None, high=None)
    va, vb = _variance(a, mean_a) / len(a), _variance(b, mean_b) / len(b)
    if va + vb == 0:
        return Estimate(estimate=math.exp(difference), low=math.exp(difference), high=math.exp(difference))
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = _quantile(confidence, df) * math.sqrt(va + vb)
    return Estimate(estimate=math.exp(difference), low=math.exp(difference - half), high=math.exp(difference + half))


def half_width(rates: Sequence[float], confidence: float) -> float:
    """Half the width of the rates' interval relative to their mean: 0.05 is ±5 %; infinite for one rate."""
    estimate = interval(rates, confidence)
    if estimate.low is None or estimate.high is None:
        return math.inf
    return math.log(estimate.high / estimate.low) / 2


def still_rising(rates: Sequence[float], rules: MeasureRules) -> bool:
    """Whether warm-up goes on: the last block is above the one before by more than max(rise, 2 s).

    s is the spread of the differences from block to block before the last one, once there are three.
    """
    if len(rates) < 2:
        return True
    steps = [math.log(later / earlier) for earlier, later in itertools.pairwise(rates)]
    earlier = steps[:-1]
    spread = math.sqrt(_variance(earlier, math.fsum(earlier) / len(earlier))) if len(earlier) >= 3 else 0.0
    return steps[-1] > max(rules.warmup_rise, 2 * spread)


def enough(rates: Sequence[float], elapsed_s: float, rules: MeasureRules) -> bool:
    """Whether measuring may stop: the interval is narrow enough, or the time is used up."""
    if elapsed_s >= rules.measure_s:
        return True
    return len(rates) >= rules.min_blocks and half_width(rates, rules.confidence) <= rules.half_width


def clearly_slower(rates: Sequence[float], incumbent: float | None, rules: MeasureRules) -> bool:
    """Whether two blocks or more already say that a trial runs at under half the incumbent's rate."""
    if incumbent is None or len(rates) < 2:
        return False
    return interval(rates, rules.confidence).estimate < rules.reject_blocks * incumbent


def hopeless(rate: float, incumbent: float | None, rules: MeasureRules) -> bool:
    """Whether the first block, which may be one call, already runs at under a third of the incumbent's rate."""
    return incumbent is not None and rate < rules.reject_first_block * incumbent


def _quantile(confidence: float, df: float) -> float:
    return float(stdtrit(df, 0.5 + confidence / 2))


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
