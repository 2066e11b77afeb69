"""A model of the settings that, alone or together, make a configuration fail, learned from the trials so far."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autotune.core.struct import Value
from autotune.study.model.encoding import Matrix
from autotune.study.model.points import Parameters

Item = tuple[str, Value]
Cause = tuple[Item, ...]
Counts = np.ndarray[Any, np.dtype[np.float32]]

CERTAINTY = 0.9
"""The chance that a failure comes from settings that no success has had; the rest is bad luck."""

MOST = 2000
"""So many suspects are kept, those of the failures that have the fewest."""

STEPS = 5
"""Iterations of expectation maximisation, each of which moves blame to what is suspected of several failures."""


class FailureModel:
    """Each failure is blamed on those of its settings, and pairs of settings, that no success has had.

    Half of the blame goes to the settings and half to the pairs, first in equal parts, then the more to one the more
    failures it explains. So a crash of one backend under one allocator is pinned down as soon as either was seen to
    work with others, and is not paid for again and again. Where all pairs were seen to work, three settings are blamed.
    """

    def __init__(self, failed: Sequence[Parameters], worked: Sequence[Parameters]) -> None:
        suspects = {item: place for place, item in enumerate(dict.fromkeys(i for p in failed for i in p.items()))}
        had = np.zeros((len(worked), len(suspects)), dtype=np.float32)
        for row, point in enumerate(worked):
            had[row, [suspects[item] for item in point.items() if item in suspects]] = 1
        together = had.T @ had
        shares_of = []
        for point in failed:
            items = sorted(point.items())
            columns = [suspects[item] for item in items]
            shares_of.append(_equal_shares(items, together[np.ix_(columns, columns)], had[:, columns]))
        self._shares = list(_clearest(shares_of))
        for _ in range(STEPS if len(failed) > 1 else 0):
            blame: Counter[Cause] = Counter()
            for shares in self._shares:
                blame.update(shares)
            self._shares = [_normalised({cause: blame[cause] for cause in shares}) for shares in self._shares]

    def works(self, points: Sequence[Parameters]) -> Matrix:
        """The chance that each of the points runs, from 0 to 1."""
        causes = {cause: place for place, cause in enumerate(dict.fromkeys(itertools.chain(*self._shares)))}
        has = {
            item: np.array([float(point.get(item[0]) == item[1]) for point in points])
            for item in dict.fromkeys(itertools.chain(*causes))
        }
        met = np.array([math.prod((has[item] for item in cause), start=np.ones(len(points))) for cause in causes])
        parts = np.zeros((len(self._shares), len(causes)))
        for row, shares in enumerate(self._shares):
            for cause, share in shares.items():
                parts[row, causes[cause]] = share
        blamed = parts @ met.reshape(len(causes), len(points))
        return np.asarray(np.prod(1.0 - CERTAINTY * blamed, axis=0))


def _equal_shares(items: Sequence[Item], together: Counts, had: Counts) -> dict[Cause, float]:
    """Each suspect's equal share of a failure's blame.

    `had` (successes × settings of the failure) is 1 where a success had the setting, too; `together` counts the
    successes that had both of each two of them.
    """
    alone: list[Cause] = [(item,) for item, times in zip(items, np.diag(together), strict=True) if not times]
    pairs = [_cause(items, places) for places in zip(*np.triu(together == 0, 1).nonzero(), strict=True)]
    suspected = [causes for causes in (alone, pairs) if causes]
    if not suspected:
        counts = np.array([(had * had[:, [place]]).T @ had for place in range(len(items))])
        triples = [places for places in zip(*(counts == 0).nonzero(), strict=True) if places[0] < places[1] < places[2]]
        suspected = [[_cause(items, places) for places in triples]] if triples else []
    return {cause: 1 / len(suspects) / len(suspected) for suspects in suspected for cause in suspects}


def _clearest(shares: Sequence[dict[Cause, float]]) -> Iterator[dict[Cause, float]]:
    causes: set[Cause] = set()
    for one in sorted(shares, key=len):
        causes |= one.keys()
        if len(causes) > MOST:
            return
        yield one


def _normalised(shares: dict[Cause, float]) -> dict[Cause, float]:
    total = sum(shares.values())
    return {cause: share / total for cause, share in shares.items()}


def _cause(items: Sequence[Item], places: Sequence[int]) -> Cause:
    return tuple(items[place] for place in places)
