"""The choices that a search has not tried at all: a backend or a precision without a trial comes before its end.

Of a backend that only failed or broke limits so far every precision comes: the next one may answer right.
"""

from __future__ import annotations

from collections.abc import Collection, Container

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.study.search import nearest

PRECISION = "precision"


def first(
    space: Space,
    hw: Hardware,
    tried: Collection[Config],
    able: Collection[Config],
    known: Container[str],
    like: Config,
) -> Config | None:
    """A configuration, otherwise `like` that one, whose backend or precision none of those tried has; None without any.

    Of those tried the `able` ones run and keep the limits. Configurations with a `known` key are passed over.
    """
    backends = {config.backend for config in able}
    precisions = {config.options.get(PRECISION) for config in tried}
    pairs = {(config.backend, config.options.get(PRECISION)) for config in tried}
    for backend, options in space.domains.backends.items():
        for precision in options.get(PRECISION, (None,)):
            if (backend, precision) in pairs or (backend in backends and precision in precisions):
                continue
            wanted = like.options if precision is None else {**like.options, PRECISION: precision}
            size = like.workload.batch_size
            found = nearest.nearest(space, hw, backend=backend, batch_size=size, options=wanted, knobs=like.knobs)
            if found is not None and found.key not in known:
                return found
    return None
