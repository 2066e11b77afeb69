"""The order of the trials so far: by single windows, corrected for drift; good for searching, no claim."""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from typing import Any, TypeVar

import msgspec

from autotune.analysis import constraints, drift, metrics, stats
from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import METRICS
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.results import Status, TrialResult
from autotune.core.rules import Correction, MeasureRules
from autotune.core.space_types import Goal
from autotune.space import configs

CONFIDENCE = MeasureRules().confidence
FEW_BLOCKS = 0.2
"""The deviation of a rate of too few blocks for an interval."""

DISTURBED_NOISE = 0.5
"""That of a rate all of whose blocks were disturbed: beside busy neighbours pinned threads were seen to lose 2/3."""

Found = TypeVar("Found")


def window_noise(rate: Estimate) -> float:
    """The deviation of the logarithm of a rate, from its interval; the wider, the fewer the blocks behind it."""
    if rate.low is None or rate.high is None or rate.low <= 0:
        return FEW_BLOCKS
    return math.log(rate.high / rate.low) / 2 / statistics.NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def _once(method: Callable[[Ranking, TrialResult], Found]) -> Callable[[Ranking, TrialResult], Found]:
    """A method whose answer for a result is computed once."""

    @wraps(method)
    def found(self: Ranking, result: TrialResult) -> Found:
        key = method.__name__, id(result)
        if key not in self._found:
            self._found[key] = result, method(self, result)  # with the result, so that no other gets its id
        answer: Found = self._found[key][1]
        return answer

    return found


class Ranking:
    """Trials with what all of them together say of the drift, in the order of a goal; rates are items per second."""

    def __init__(self, results: Sequence[TrialResult], goal: Goal, hardware: Hardware | None = None) -> None:
        """With `hardware`, configurations that it can no longer honour have no place in `order`."""
        self.results = tuple(results)
        self.goal = goal
        self.hardware = hardware
        self._found: dict[tuple[str, int], tuple[TrialResult, Any]] = {}
        self._computed: dict[str, Any] = {}

    def once(self, name: str, compute: Callable[[], Found]) -> Found:
        """What is computed from these trials at the first call by this name."""
        if name not in self._computed:
            self._computed[name] = compute()
        computed: Found = self._computed[name]
        return computed

    @cached_property
    def correction(self) -> Correction:
        """The correction for drift, fitted to the blocks of all trials."""
        return drift.fit([result.blocks for result in self.results])

    @_once
    def rates(self, result: TrialResult) -> list[float]:
        """The corrected rate of each block of a trial."""
        return drift.corrected(result.blocks, self.correction)

    def rate(self, result: TrialResult) -> float:
        """A measured trial's rate: the median of its blocks' corrected rates."""
        return self.interval(result).estimate

    @_once
    def interval(self, result: TrialResult) -> Estimate:
        """The rate with an interval that describes the trial's own window only."""
        return stats.interval(self.rates(result), CONFIDENCE)

    def noise(self, result: TrialResult) -> float:
        """The deviation of the logarithm of a trial's rate, as far as its own window and its disturbances tell."""
        return math.hypot(window_noise(self.interval(result)), DISTURBED_NOISE * self.disturbed(result))

    def disturbed(self, result: TrialResult) -> float:
        """The share of a trial's counted blocks during which the machine was disturbed."""
        return sum(bool(block.disturbances) for block in result.blocks) / len(result.blocks) if result.blocks else 0.0

    @property
    def rate_decides(self) -> bool:
        """True if the rate is the only objective."""
        return metrics.rate_decides(self.goal)

    def ratio(self, result: TrialResult, base: TrialResult) -> Estimate:
        """The speed-up of a measured trial over another, as far as two windows tell."""
        return stats.ratio(self.rates(result), self.rates(base), CONFIDENCE)

    # ------------------------------------------------------------------------------------------------------ the goal

    @_once
    def known(self, result: TrialResult) -> dict[str, float]:
        """The metrics of a measured trial by name."""
        return metrics.values(Measured(result, self.rate(result), self.goal.price, result.latency))

    def checks(self, result: TrialResult) -> tuple[ConstraintCheck, ...]:
        """The check of a measured trial against each limit."""
        return constraints.check(self.goal.limits, self.known(result))

    def settled(self, result: TrialResult) -> TrialResult:
        """The result with its word on whether it keeps the limits; one without blocks as it is."""
        if not result.blocks:
            return result
        feasible = self.serves(result) and all(one.satisfied for one in self.checks(result))
        return msgspec.structs.replace(result, feasible=feasible)

    def serves(self, result: TrialResult) -> bool:
        """True if a trial keeps some rate of requests, or none is wanted."""
        return "served_rate" not in self.goal.objectives or result.served is None or result.served.rate > 0

    def values(self, result: TrialResult) -> tuple[float, ...] | None:
        """A measured trial's value of each objective; None where it lacks one."""
        known = self.known(result)
        found = [metrics.objective(name, result, known) for name in self.goal.objectives]
        values = tuple(value for value in found if value is not None)
        return values if len(values) == len(found) else None

    @_once
    def scores(self, result: TrialResult) -> tuple[float, ...] | None:
        """The same as logarithms, so that more is better and differences are ratios."""
        values = self.values(result)
        if values is None:
            return None
        return tuple(METRICS[name].score(value) for name, value in zip(self.goal.objectives, values, strict=True))

    def order(self) -> list[TrialResult]:
        """The trials that were measured fully and keep the limits, the best first, the earlier one of equals.

        With several objectives: those of the front, its knee first, then its ends, then what is between.
        """
        complete = [result for result in self.distinct if result.status is Status.OK and result.feasible]
        if (hw := self.hardware) is not None:
            complete = [result for result in complete if configs.unavailable(result.spec.config, hw) is None]
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
        return None if self.best is None or not metrics.rate_decides(self.goal) else self.rate(self.best)

    @property
    def nearest(self) -> TrialResult | None:
        """Of the trials that break a limit, the one that breaks it least; None where there is none."""
        broken = [result for result in self.results if result.status is Status.OK and not result.feasible]
        return min(broken, key=self._violation, default=None)

    def _violation(self, result: TrialResult) -> float:
        return max(one.violation for one in self.checks(result)) if self.serves(result) else math.inf

    def baseline(self, config: Config) -> TrialResult | None:
        """The trial that measured the baseline's configuration, or None while there is none."""
        return next((one for one in self.distinct if one.status is Status.OK and one.spec.config == config), None)

    @cached_property
    def distinct(self) -> tuple[TrialResult, ...]:
        """The measured trials, of several of one configuration the least disturbed, of equals the fastest.

        What disturbs a trial takes from its rate.
        """
        found: dict[str, TrialResult] = {}
        for result in self.results:
            earlier = found.get(key := result.spec.config.key)
            if result.status.measured and (earlier is None or self._worth(result) >= self._worth(earlier)):
                found[key] = result
        return tuple(found.values())

    def _worth(self, result: TrialResult) -> tuple[float, ...]:
        """More is better of several trials of one configuration: an interval, no disturbances, a higher rate."""
        return len(result.blocks) > 1, -self.disturbed(result), self.rate(result) if result.blocks else 0.0


Scored = tuple[TrialResult, tuple[float, ...]]


def _front(scored: Sequence[Scored]) -> list[Scored]:
    """Those that no other one equals or beats in every score: the knee, the best of each score, then the rest."""
    earlier = sorted(scored, key=lambda one: one[0].spec.id)
    front = [earlier[place] for place in undominated([scores for _, scores in earlier])]
    if not front:
        return []
    count = len(front[0][1])
    best = [max(one[1][i] for one in front) for i in range(count)]
    worst = [min(one[1][i] for one in front) for i in range(count)]

    def loss(one: Scored) -> float:
        """The distance from the best of all scores together, each as a part of its range."""
        return math.hypot(*((best[i] - one[1][i]) / ((best[i] - worst[i]) or 1.0) for i in range(count)))

    ranked = sorted(front, key=lambda one: (loss(one), one[0].spec.id))
    leading = [ranked[0], *(max(ranked, key=lambda one: one[1][i]) for i in range(count))]
    order = {one[0].spec.id: one for one in [*leading, *ranked]}
    return list(order.values())


def undominated(scores: Sequence[tuple[float, ...]]) -> list[int]:
    """The places of those that no other one equals or beats in every score, rising; of equals the first one."""
    # Whatever beats one in every score comes before it, and something of the front beats that or is it.
    order = sorted(range(len(scores)), key=lambda place: (*(-score for score in scores[place]), place))
    front: list[int] = []
    for place in order:
        if not any(all(map(operator.ge, scores[other], scores[place])) for other in front):
            front.append(place)
    return sorted(front)
