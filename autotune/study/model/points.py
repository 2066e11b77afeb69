"""The configurations that a sampler may choose from, as parameters by name."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from typing import Protocol

from autotune.core.machine import Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.model import suggest

Parameters = dict[str, Value]
"""A point by the names of its parameters, without those that it does not have."""

REMEMBERED = 10_000


class Points(Protocol):
    """All that may be chosen: the values of each parameter, and points by index, of which several may be equal."""

    axes: dict[str, tuple[Value, ...]]

    def __len__(self) -> int: ...

    def at(self, index: int) -> Parameters | None:
        """The point at an index; None if it cannot run."""

    def of_trial(self, parameters: Parameters) -> Parameters | None:
        """The point of a trial that has these parameters; None if it is none of these points."""

    def neighbours(self, point: Parameters, rng: random.Random) -> Iterator[Parameters]:
        """Points that differ from this one in one setting."""


class DomainPoints:
    """All configurations of a space on a machine."""

    def __init__(self, domains: Domains, hw: Hardware) -> None:
        self.domains, self.hardware = domains, hw
        self.axes = suggest.axes(domains)
        self._count = suggest.count(domains)
        self._cached = functools.lru_cache(REMEMBERED)(self._point)

    def __len__(self) -> int:
        return self._count

    def at(self, index: int) -> Parameters | None:
        """The point at an index; None if this machine cannot honour it."""
        return self._cached(index)

    def _point(self, index: int) -> Parameters | None:
        config = suggest.nth(index, self.domains, self.hardware)
        if configs.unavailable(config, self.hardware) is not None:
            return None
        return suggest.parameters(config, self.domains, self.hardware)

    def of_trial(self, parameters: Parameters) -> Parameters | None:
        """The point, with the knobs that a trial does not have, since beside the others they change nothing."""
        try:
            return self.at(suggest.index(parameters, self._backend(parameters), self.domains))
        except (KeyError, ValueError):  # an earlier version knew other values
            return None

    def neighbours(self, point: Parameters, rng: random.Random) -> Iterator[Parameters]:
        """Every other value of each setting of a point; for another backend, random options."""
        for name in self.axes:
            for value in self.axes[name]:
                if point.get(name) != value and (other := self._changed(point, name, value, rng)) is not None:
                    yield other

    def _changed(self, point: Parameters, name: str, value: Value, rng: random.Random) -> Parameters | None:
        changed = {**point, name: value}
        backend = self._backend(changed)
        if "." in name and not name.startswith(f"{backend}."):
            return None
        return self.at(suggest.index(changed, backend, self.domains, rng))

    def _backend(self, point: Parameters) -> str:
        return str(point.get("backend", next(iter(self.domains.backends))))
