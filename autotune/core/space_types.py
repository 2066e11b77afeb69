"""Immutable types that define a tuning problem: search space, budget, objectives, constraints, price.

Serialised as `domains.json`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from autotune.core.config import Config
from autotune.core.struct import FORMAT, Struct, Value
from autotune.core.workload_spec import WorkloadSpec


class Domains(Struct):
    """The choices of the sampler on this machine: values for each setting, options under their backend."""

    batch_size: tuple[int, ...]
    knobs: dict[str, tuple[Value, ...]]
    backends: dict[str, dict[str, tuple[Value, ...]]]


PRICES = "prices"
"""The setting of an exclusion that says that a file of prices has none for this machine."""


class Exclusion(Struct):
    """A value that the space names and this machine cannot honour, with the reason."""

    setting: str
    value: Value
    reason: str


class Budget(Struct):
    """When a study ends: after so many trials or so many minutes, whichever comes first; None is no limit."""

    trials: int | None = None
    minutes: float | None = None


class TimeLimits(Struct):
    """The longest times of children (s); None is the default.

    `build_s` is for the user's own code that builds the model or makes its inputs, `prepare_s` for an export or a
    conversion, `setup_s` for loading a model that is measured, `idle_s` for doing nothing in the last two.
    """

    build_s: float | None = None
    prepare_s: float | None = None
    setup_s: float | None = None
    idle_s: float | None = None


class Limit(Struct):
    """A constraint: a metric (see `analysis/metrics.py`) at `min` or above, at `max` or below.

    A configuration without a value of the metric keeps the limit, or breaks it where `unjudged` is `reject`.
    """

    metric: str = msgspec.field(name="figure")
    min: float | None = None
    max: float | None = None
    unjudged: Literal["accept", "reject"] = "accept"

    @property
    def bounds(self) -> str:
        """`at least 0.99 and at most 1`."""
        low, high = self.min, self.max
        parts = [*([] if low is None else [f"at least {low:g}"]), *([] if high is None else [f"at most {high:g}"])]
        return " and ".join(parts)


class Price(Struct):
    """The price of an hour of this instance type, by the user's own list."""

    per_hour: float
    currency: str = ""
    date: str = ""

    def per_million(self, rate: float) -> float:
        """The cost of a million samples at a rate (samples a second)."""
        return self.per_hour / 3600 / rate * 1e6


class Goal(Struct):
    """The objectives (several are a Pareto front), the constraints, and the price."""

    objectives: tuple[str, ...] = ("throughput",)
    limits: tuple[Limit, ...] = ()
    price: Price | None = None


class Space(Struct):
    """A space file resolved on one machine: what `space.load` returns and `domains.json` keeps."""

    name: str
    workload: WorkloadSpec
    domains: Domains
    baseline: Config
    budget: Budget = Budget()
    limits: TimeLimits = TimeLimits()
    objective: str | tuple[str, ...] = "throughput"
    constraints: tuple[Limit, ...] = ()
    price: Price | None = None
    excluded: tuple[Exclusion, ...] = ()
    format: int = FORMAT

    @property
    def goal(self) -> Goal:
        """The objectives, limits and price together."""
        objectives = (self.objective,) if isinstance(self.objective, str) else self.objective
        return Goal(objectives=objectives, limits=self.constraints, price=self.price)
