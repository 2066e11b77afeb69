"""The orders that an executor gets: one trial, or several configurations measured in turn."""

from __future__ import annotations

from autotune.core.config import Config
from autotune.core.struct import Struct
from autotune.core.workload_spec import WorkloadSpec


class TrialSpec(Struct):
    """One configuration to measure; `folder` is relative to the study."""

    id: int
    workload: WorkloadSpec
    config: Config
    folder: str


class InterleavedSpec(Struct):
    """Configurations to start together and measure in turn, block by block, for so many rounds.

    `order` seeds the order within the rounds. Without `together` each is started and ended before the next. `folder` is
    relative to the study; `limit_s` is when no further round begins; `objective` is the metric that is compared.
    """

    number: int
    workload: WorkloadSpec
    configs: dict[str, Config]
    rounds: int
    order: str
    folder: str
    together: bool = True
    limit_s: float | None = None
    objective: str = "throughput"
