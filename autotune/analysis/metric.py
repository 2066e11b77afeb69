"""Type of a registered metric, and the measurements that it is read from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from autotune.core.results import Block, Candidate, Latency, Percentile, Sustained, TrialResult
from autotune.core.space_types import Price

Need = Literal["outputs", "data", "serving", "price", "energy"]
"""Outputs compared with the reference, `workload.data`, `workload.serving`, a price, readable energy counters."""


@dataclass(frozen=True)
class Measured:
    """A measured configuration: a trial, a candidate of the confirmation, or a load test, which has no blocks.

    `rate` is its throughput (samples a second), None after a load test; `latency` is that of all its calls.
    """

    result: TrialResult | Candidate | Sustained
    rate: float | None = None
    price: Price | None = None
    latency: Latency | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The counted blocks."""
        return () if isinstance(self.result, Sustained) else self.result.blocks


@dataclass(frozen=True)
class Metric:
    """An entry of the registry: all that tables, reports, goals, `best.json` and the schema know of a metric.

    `read` returns the value, None where it was not measured; `show` formats it. `better` is the direction. One that is
    no `objective` can only be limited. `rate_only`: the throughput alone decides it, so that a trial that is clearly
    slower is clearly worse. `per_start`: one value for each start of the workers, however long they are measured.
    `needs` must be given before it can be measured. `bounds` are its least and greatest possible values. In a ratio a
    value below `smallest` counts as that. `column`: the trial table has it in its own columns anyway (`always`), where
    what it needs is given, or where it is an objective. `unmeasured` is the usual reason that a result has none.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    description: str
    read: Callable[[Measured], float | None]
    show: Callable[[float], str] = "{:.4g}".format
    objective: bool = True
    rate_only: bool = False
    per_start: bool = False
    needs: Need | None = None
    percentile: Percentile | None = None
    bounds: tuple[float, float] = (0.0, math.inf)
    smallest: float = 1e-9
    column: Literal["always", "needed", "objective"] = "objective"
    unmeasured: str = "it was not measured"

    @property
    def ideal(self) -> float:
        """The best possible value."""
        return self.bounds[1] if self.better == "higher" else self.bounds[0]

    def score(self, value: float) -> float:
        """A value as a logarithm of which more is better, so that differences are ratios."""
        log = math.log(max(value, self.smallest))
        return log if self.better == "higher" else -log
