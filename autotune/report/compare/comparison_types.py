"""Result types of the command `compare`, serialised as its JSON."""

from __future__ import annotations

import msgspec

from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.results import Percentile
from autotune.core.space_types import Limit, Price
from autotune.core.struct import FORMAT, Struct
from autotune.core.workload_spec import WorkloadSpec


class Row(Struct):
    """The best configuration of a study, on its machine.

    `confirmed` says that the metrics are a claim's, else they are those of the strongest evidence there is. `ratio`
    is how many times better than that machine's plain model it is by the first objective. `cost_per_million` has the
    interval of the throughput. None is unknown; `notes` say why.
    """

    study: str
    instance_type: str
    cpu_model: str
    cores: int
    trials: int
    fingerprint: str
    confirmed: bool = False
    config: Config | None = None
    throughput: Estimate | None = None
    ratio: Estimate | None = None
    latency_percentile: Percentile | None = None
    latency_ms: float | None = None
    latency_calls: int | None = None
    peak_rss_bytes: int | None = None
    price: Price | None = None
    cost_per_million: Estimate | None = None
    metrics: dict[str, float] = msgspec.field(default={}, name="figures")
    notes: tuple[str, ...] = ()


class Crossing(Struct):
    """The best configuration of the study `tuned_on`, as it was measured in the study `measured_on`.

    `ratio` is how many times as good as the best there it was (below 1: what it loses), by the first objective and on
    that machine alone; None where it was not measured there, or failed. `confirmed`: they were measured in turn.
    """

    tuned_on: str
    measured_on: str
    ratio: Estimate | None = None
    confirmed: bool = False
    remark: str | None = None


class Point(Struct):
    """A configuration on the front; `trial` is None for a confirmed one that no trial measured."""

    study: str
    trial: int | None
    config: Config
    cost_per_million: float
    latency_ms: float
    confirmed: bool


class Front(Struct):
    """The configurations of all studies of which none is both cheaper and quicker than another, the cheapest first.

    `latency` names the percentile. Of `candidates`, `left_out` made too few calls for it.
    """

    latency: str
    points: tuple[Point, ...]
    candidates: int
    left_out: int


class Group(Struct):
    """Studies of the same work for the same goal, the cheapest first, else the fastest."""

    workload: WorkloadSpec
    objective: tuple[str, ...]
    constraints: tuple[Limit, ...]
    rows: tuple[Row, ...]
    crossings: tuple[Crossing, ...]
    front: Front | None
    notes: tuple[str, ...] = ()


class Comparison(Struct):
    """Studies side by side; those of different groups answer different questions."""

    groups: tuple[Group, ...]
    format: int = FORMAT
