"""Structs of studies that an earlier version began, with the settings that there are today at their defaults.

What no version writes is a ValueError, msgspec's for options that are not legal: the file is damaged.
"""

from __future__ import annotations

import math

import msgspec

from autotune.analysis.metrics import METRICS
from autotune.core import plugins
from autotune.core.confirmation import Confirmation
from autotune.core.results import TrialResult
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.space import configs


def space(frozen: Space) -> Space:
    """A space with every setting that there is today; ValueError for a metric that there is not."""
    wanted = [*frozen.goal.objectives, *(limit.metric for limit in frozen.constraints)]
    if not frozen.goal.objectives or not METRICS.keys() >= set(wanted):
        raise ValueError(f"it names the metrics {wanted}; allowed: {', '.join(METRICS)}")
    knobs, backends = frozen.domains.knobs, frozen.domains.backends
    plain = configs.completed(frozen.baseline).knobs
    domains = msgspec.structs.replace(
        frozen.domains,
        knobs={name: knobs.get(name, (plain[name],)) for name in plain},
        backends={name: _options(name, axes) for name, axes in backends.items()},
    )
    only = configs.only_batch_size(domains, frozen.baseline)
    return msgspec.structs.replace(
        frozen,
        workload=msgspec.structs.replace(frozen.workload, batch_size=only),
        domains=domains,
        baseline=configs.completed(frozen.baseline),
    )


def spec(written: TrialSpec) -> TrialSpec:
    """A trial's spec with every setting that there is today."""
    return msgspec.structs.replace(written, config=configs.completed(written.config))


def result(written: TrialResult) -> TrialResult:
    """A trial's result with such a spec; ValueError for a measured block whose rate is no number above 0."""
    if written.status.measured and any(not 0 < block.rate < math.inf for block in written.blocks):
        raise ValueError("a measured block has no rate")
    return msgspec.structs.replace(written, spec=spec(written.spec))


def confirmation(written: Confirmation) -> Confirmation:
    """A confirmation whose configurations, which are compared with those of trials, have every setting of today.

    ValueError for a winner whose rate is no number above 0.
    """
    winner = written.winner
    if winner is not None:
        if not 0 < winner.throughput.estimate < math.inf:
            raise ValueError("the winner has no rate")
        winner = msgspec.structs.replace(winner, config=configs.completed(winner.config))
    finalists = [msgspec.structs.replace(one, config=configs.completed(one.config)) for one in written.finalists]
    return msgspec.structs.replace(written, winner=winner, finalists=tuple(finalists))


def _options(backend: str, axes: dict[str, tuple[Value, ...]]) -> dict[str, tuple[Value, ...]]:
    """The options of a backend with what they may be, those that were not known then at their defaults."""
    if empty := [name for name, values in axes.items() if not values]:
        raise ValueError(f"option {empty[0]} of {backend} has no value")
    first = {name: values[0] for name, values in axes.items()}
    defaults = msgspec.structs.asdict(plugins.backend_options(backend, dict(first)))
    return {name: axes.get(name, (default,)) for name, default in defaults.items()}
