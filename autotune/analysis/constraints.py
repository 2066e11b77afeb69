"""Evaluation of constraints: each limit with the metric that it is checked by, and its relative violation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autotune.analysis import memory_growth
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import GROWTH, LATENCIES, MEDIAN, METRICS, values
from autotune.core.results import TrialResult
from autotune.core.space_types import Limit


@dataclass(frozen=True)
class ConstraintCheck:
    """A limit, the metric that it was checked by, and its value; both None where there is no value to check.

    A percentile that too few calls back is checked by the highest one that is backed, or by the median. `growth` is
    the bytes a call by which limited memory still grew in the end: no such limit is kept.
    """

    limit: Limit
    metric: str | None
    value: float | None
    growth: float | None = None

    @property
    def violation(self) -> float:
        """Relative violation: > 0 violated, ≤ 0 satisfied; absolute where the limit is 0.

        Without a value −inf, so that the limit counts as satisfied, or inf where it says `unjudged: reject`.
        """
        if self.value is None:
            return math.inf if self.limit.unjudged == "reject" else -math.inf
        if math.isnan(self.value) or (self.growth is not None and self.limit.max is not None):
            return math.inf
        violations = [-math.inf]
        if self.limit.max is not None:
            violations.append((self.value - self.limit.max) / (abs(self.limit.max) or 1.0))
        if self.limit.min is not None:
            violations.append((self.limit.min - self.value) / (abs(self.limit.min) or 1.0))
        return max(violations)

    @property
    def satisfied(self) -> bool:
        """True if the limit is kept."""
        return self.violation <= 0

    @property
    def description(self) -> str:
        """`latency_p90_ms is 212, allowed at most 200 (latency_p99_ms)`."""
        if self.value is None and not self.satisfied:
            return f"{self.limit.metric} is not judged: refused, allowed {self.limit.bounds}"
        limited = "" if self.metric in (None, self.limit.metric) else f" ({self.limit.metric})"
        value = "not to be had" if self.value is None else f"{self.value:.4g}"
        if self.growth is not None:
            value += f" and grew by {memory_growth.words(self.growth)} a call until the end"
        return f"{self.metric or self.limit.metric} is {value}, allowed {self.limit.bounds}{limited}"


def check(limits: Sequence[Limit], values: Mapping[str, float]) -> tuple[ConstraintCheck, ...]:
    """Every limit checked by the metrics' values."""
    return tuple(_check(limit, values) for limit in limits)


def on_answers(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits that are known from a configuration's answers alone, before it is measured."""
    return tuple(limit for limit in limits if METRICS[limit.metric].needs in ("outputs", "data"))


def broken(limits: Sequence[Limit], result: TrialResult) -> ConstraintCheck | None:
    """The check of the limit that a result's answers break the most; None if they keep all."""
    checks = check(on_answers(limits), values(Measured(result)))
    worst = max(checks, key=lambda one: one.violation, default=None)
    return None if worst is None or worst.satisfied else worst


def _check(limit: Limit, values: Mapping[str, float]) -> ConstraintCheck:
    names = [limit.metric]
    if limit.metric in LATENCIES:  # above one that is not backed none is
        names += [*reversed(LATENCIES), MEDIAN]
    metric = next((name for name in names if name in values), None)
    growth = values.get(GROWTH) if metric == "peak_rss_bytes" else None
    return ConstraintCheck(limit, metric, None if metric is None else values[metric], growth)
