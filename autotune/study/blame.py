"""Which settings, alone or in pairs, make a configuration fail: learned from the failures and successes so far."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from autotune.study.points import Matrix, Parameters
from autotune.types import Value

Cause = tuple[tuple[str, Value], ...]

CERTAINTY = 0.9
"""How far a failure is believed to come from what no success has had; the rest is bad luck."""

STEPS = 5
"""How often blame moves towards what is suspected of several failures (expectation maximisation)."""


class Blame:
    """Each failure is blamed on those of its settings, and pairs of settings, that no success has had.

    Half of the blame goes to the settings and half to the pairs, first in equal parts, then the more to one the more
    failures it explains. So a crash of one backend under one allocator is pinned down as soon as either was seen to
    work with others, and is not paid for again and again.
    """

    def __init__(self, failed: Sequence[Parameters], worked: Sequence[Parameters]) -> None:
        exonerated = {cause for point in worked for order in (1, 2) for cause in _causes(point, order)}
        self._shares = [_shares(point, exonerated) for point in failed]
        for _ in range(STEPS if len(failed) > 1 else 0):
            whole: Counter[Cause] = Counter()
            for shares in self._shares:
                whole.update(shares)
            self._shares = [_parts({cause: whole[cause] for cause in shares}) for shares in self._shares]

    def works(self, points: Sequence[Parameters]) -> Matrix:
        """The chance that each of the points runs, from 0 to 1."""
        chances = np.ones(len(points))
        columns: dict[tuple[str, Value], Matrix] = {}
        for shares in self._shares:
            blamed = np.zeros(len(points))
            for cause, share in shares.items():
                for item in cause:
                    if item not in columns:
                        name, value = item
                        columns[item] = np.array([float(point.get(name) == value) for point in points])
                blamed += share * math.prod((columns[item] for item in cause), start=np.ones(len(points)))
            chances *= 1.0 - CERTAINTY * blamed
        return chances


def _shares(point: Parameters, exonerated: set[Cause]) -> dict[Cause, float]:
    """What each suspect has of a failure's blame; nothing where all was seen to work."""
    orders = [[cause for cause in _causes(point, order) if cause not in exonerated] for order in (1, 2)]
    suspected = [suspects for suspects in orders if suspects]
    return {cause: 1 / len(suspects) / len(suspected) for suspects in suspected for cause in suspects}


def _parts(shares: dict[Cause, float]) -> dict[Cause, float]:
    total = sum(shares.values())
    return {cause: share / total for cause, share in shares.items()}


def _causes(point: Parameters, order: int) -> list[Cause]:
    return list(itertools.combinations(sorted(point.items()), order))
