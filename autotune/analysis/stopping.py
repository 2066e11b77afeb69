"""Stopping rules of a trial: the end of warm-up and of measuring, and early rejection of slow configurations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from autotune.analysis import stats
from autotune.core.rules import MeasureRules


def still_warming_up(rates: Sequence[float], rules: MeasureRules) -> bool:
    """True if the last block is above the one before by more than max(rise, 2 s): warm-up goes on.

    s is the spread of the differences from block to block before the last one, once there are three.
    """
    if len(rates) < 2:
        return True
    steps = [math.log(later / earlier) for earlier, later in itertools.pairwise(rates)]
    earlier = steps[:-1]
    spread = math.sqrt(stats.variance(earlier)) if len(earlier) >= 3 else 0.0
    return steps[-1] > max(rules.warmup_rise, 2 * spread)


def precise_enough(rates: Sequence[float], elapsed_s: float, rules: MeasureRules) -> bool:
    """True if measuring may stop: the interval is narrow enough, or the time is used up."""
    if elapsed_s >= rules.measure_s:
        return True
    return len(rates) >= rules.min_blocks and stats.half_width(rates, rules.confidence) <= rules.half_width


def clearly_slower(rates: Sequence[float], incumbent: float | None, rules: MeasureRules) -> bool:
    """True if two blocks or more show that a trial runs at under half the incumbent's rate."""
    if incumbent is None or len(rates) < 2:
        return False
    return stats.interval(rates, rules.confidence).estimate < rules.reject_blocks * incumbent


def hopeless(rate: float, incumbent: float | None, rules: MeasureRules) -> bool:
    """True if the first block, which may be one call, runs at under a third of the incumbent's rate."""
    return incumbent is not None and rate < rules.reject_first_block * incumbent
