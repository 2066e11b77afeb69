"""What is asked of a study: the frozen nouns of `domains.json`, from what may be varied to what is wanted."""

from __future__ import annotations

from autotune.core.types import FORMAT, Config, Struct, Value, WorkloadSpec


class Domains(Struct):
    """What the sampler may choose on this machine: values for each setting, options under their backend."""

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


class Limit(Struct):
    """What a configuration must keep: a figure (see `figures.py`) at `min` or above, at `max` or below."""

    figure: str
    min: float | None = None
    max: float | None = None


class Price(Struct):
    """What an hour of this instance type costs, by the user's own list."""

    per_hour: float
    currency: str = ""
    date: str = ""

    def per_million(self, rate: float) -> float:
        """What a million samples cost at a rate (samples a second)."""
        return self.per_hour / 3600 / rate * 1e6


class Goal(Struct):
    """What is wanted: one figure at its best, or several as a Pareto front, within limits."""

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
