"""Which trial is the fastest so far: ranks of single windows, good for searching, no claim."""

from __future__ import annotations

from collections.abc import Iterable

from autotune import stats
from autotune.results import Status, TrialResult
from autotune.rules import MeasureRules
from autotune.types import Config


def rate(result: TrialResult) -> float:
    """Items per second over a measured trial's blocks: their geometric mean."""
    return stats.interval([block.rate for block in result.blocks], MeasureRules().confidence).estimate


def best(results: Iterable[TrialResult]) -> TrialResult | None:
    """The fastest trial that was measured fully and meets the constraints; the earlier one of equals."""
    complete = (result for result in results if result.status is Status.OK and result.feasible)
    return max(complete, key=rate, default=None)


def baseline(results: Iterable[TrialResult], config: Config) -> TrialResult | None:
    """The trial that measured the baseline's configuration, or None while there is none."""
    complete = (result for result in results if result.status is Status.OK and result.spec.config == config)
    return next(complete, None)


def incumbent(results: Iterable[TrialResult]) -> float | None:
    """The best rate so far, which a new trial is held against."""
    winner = best(results)
    return None if winner is None else rate(winner)
