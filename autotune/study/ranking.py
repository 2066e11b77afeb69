"""Which trial is the best so far: single windows, corrected for drift; good for searching, no claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import msgspec

from autotune import correction, figures, stats
from autotune.figures import FIGURES, Judgement
from autotune.problem import Goal
from autotune.results import Estimate, Status, TrialResult
from autotune.rules import Correction, MeasureRules
from autotune.types import Config

CONFIDENCE = MeasureRules().confidence
LEAST = 1e-9


class Ranking:
    """Trials with what all of them together say of the drift, in the order of a goal; rates are items per second."""

    def __init__(self, results: Sequence[TrialResult], goal: Goal) -> None:
        self.results = tuple(results)
        self.goal = goal

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

    # ------------------------------------------------------------------------------------------------------ the goal

    def known(self, result: TrialResult) -> dict[str, float]:
        """The figures of a measured trial by name."""
        return figures.of(result, self.rate(result), self.goal.price, result.latency)

    def judged(self, result: TrialResult) -> tuple[Judgement, ...]:
        """How a measured trial stands to each limit."""
        return figures.judged(self.goal.limits, self.known(result))

    def settled(self, result: TrialResult) -> TrialResult:
        """The result with its word on whether it keeps the limits; one without blocks as it is."""
        if not result.blocks:
            return result
        return msgspec.structs.replace(result, feasible=all(one.kept for one in self.judged(result)))

    def values(self, result: TrialResult) -> tuple[float, ...] | None:
        """What a measured trial has of each objective; None where one is not to be had of it."""
        known = self.known(result)
        found = [figures.objective(name, result, known) for name in self.goal.objectives]
        values = tuple(value for value in found if value is not None)
        return values if len(values) == len(found) else None

    def scores(self, result: TrialResult) -> tuple[float, ...] | None:
        """The same as logarithms, so that more is better and differences are ratios."""
        values = self.values(result)
        if values is None:
            return None
        # A value may be 0: the size of what is not prepared.
        signs = (1 if FIGURES[name].better == "higher" else -1 for name in self.goal.objectives)
        return tuple(sign * math.log(max(value, LEAST)) for sign, value in zip(signs, values, strict=True))

    def order(self) -> list[TrialResult]:
        """The trials that were measured fully and keep the limits, the best first, the earlier one of equals.

        With several objectives: those of the front, its knee first, then its ends, then what is between.
        """
        complete = [result for result in self.results if result.status is Status.OK and result.feasible]
        scored = [(result, scores) for result in complete if (scores := self.scores(result)) is not None]
        if len(self.goal.objectives) == 1:
            ranked = sorted(scored, key=lambda one: (-one[1][0], one[0].spec.id))
            return [result for result, _ in ranked]
        return [result for result, _ in _front(scored)]

    @cached_property
    def best(self) -> TrialResult | None:
        """The best trial; None while there is none."""
        return next(iter(self.order()), None)

    @property
    def incumbent(self) -> float | None:
        """The best rate so far, which a new trial is held against; None where not the rate decides."""
        return None if self.best is None or not figures.by_rate(self.goal) else self.rate(self.best)

    @property
    def nearest(self) -> TrialResult | None:
        """Of the trials that break a limit, the one that breaks it least; None where there is none."""
        broken = [result for result in self.results if result.status is Status.OK and not result.feasible]
        return min(broken, key=lambda result: max(one.excess for one in self.judged(result)), default=None)

    def baseline(self, config: Config) -> TrialResult | None:
        """The trial that measured the baseline's configuration, or None while there is none."""
        complete = (result for result in self.results if result.status is Status.OK and result.spec.config == config)
        return next(complete, None)


Scored = tuple[TrialResult, tuple[float, ...]]


def _front(scored: Sequence[Scored]) -> list[Scored]:
    """Those that no other one equals or beats in every score: the knee, the best of each score, then the rest."""
    front = [one for one in scored if not any(_beats(other, one) for other in scored)]
    if not front:
        return []
    count = len(front[0][1])
    best = [max(one[1][i] for one in front) for i in range(count)]
    worst = [min(one[1][i] for one in front) for i in range(count)]

    def loss(one: Scored) -> float:
        """How far from the best of all scores together, each as a part of its range."""
        return math.hypot(*((best[i] - one[1][i]) / ((best[i] - worst[i]) or 1.0) for i in range(count)))

    ranked = sorted(front, key=lambda one: (loss(one), one[0].spec.id))
    leading = [ranked[0], *(max(ranked, key=lambda one: one[1][i]) for i in range(count))]
    order = {one[0].spec.id: one for one in [*leading, *ranked]}
    return list(order.values())


def _beats(a: Scored, b: Scored) -> bool:
    """Whether a is at least as good in every score, and better in one; of equals the earlier one."""
    if a[1] == b[1]:
        return a[0].spec.id < b[0].spec.id
    return all(x >= y for x, y in zip(a[1], b[1], strict=True))
