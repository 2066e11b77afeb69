"""Which trial is the fastest so far: single windows, corrected for drift; good for searching, no claim."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from autotune import correction, stats
from autotune.results import Estimate, Status, TrialResult
from autotune.rules import Correction, MeasureRules
from autotune.types import Config

CONFIDENCE = MeasureRules().confidence


class Ranking:
    """Trials with what all of them together say of the drift; rates are items per second."""

    def __init__(self, results: Sequence[TrialResult]) -> None:
        self.results = tuple(results)

    @cached_property
    def correction(self) -> Correction:
        """How rates follow the canary, from the blocks of all trials."""
        return correction.fit([result.blocks for result in self.results])

    def rates(self, result: TrialResult) -> list[float]:
        """The corrected rate of each block of a trial."""
        return correction.rates(result.blocks, self.correction)

    def rate(self, result: TrialResult) -> float:
        """A measured trial's rate: the median of its blocks' corrected rates."""
        return self.interval(result).estimate

    def interval(self, result: TrialResult) -> Estimate:
        """The rate with an interval that describes the trial's own window only."""
        return stats.interval(self.rates(result), CONFIDENCE)

    def ratio(self, result: TrialResult, base: TrialResult) -> Estimate:
        """How many times faster a measured trial was than another, as far as two windows tell."""
        return stats.ratio(self.rates(result), self.rates(base), CONFIDENCE)

    def order(self) -> list[TrialResult]:
        """The trials that were measured fully and meet the constraints, fastest first; the earlier one of equals."""
        complete = [result for result in self.results if result.status is Status.OK and result.feasible]
        return sorted(complete, key=lambda result: (-self.rate(result), result.spec.id))

    @cached_property
    def best(self) -> TrialResult | None:
        """The fastest trial; None while there is none."""
        return next(iter(self.order()), None)

    @property
    def incumbent(self) -> float | None:
        """The best rate so far, which a new trial is held against."""
        return None if self.best is None else self.rate(self.best)

    def baseline(self, config: Config) -> TrialResult | None:
        """The trial that measured the baseline's configuration, or None while there is none."""
        complete = (result for result in self.results if result.status is Status.OK and result.spec.config == config)
        return next(complete, None)
