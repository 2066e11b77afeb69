"""Which settings, alone or together, make a configuration fail: learned from the failures and successes so far."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autotune.core.struct import Value
from autotune.study.search.points import Matrix, Parameters

Item = tuple[str, Value]
Cause = tuple[Item, ...]
Counts = np.ndarray[Any, np.dtype[np.float32]]

CERTAINTY = 0.9
"""How far a failure is believed to come from what no success has had; the rest is bad luck."""

MOST = 2000
"""So many suspects are kept, those of the failures that have the fewest."""

STEPS = 5
"""How often blame moves towards what is suspected of several failures (expectation maximisation)."""


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
        found = []
        for point in failed:
            items = sorted(point.items())
            columns = [suspects[item] for item in items]
            found.append(_shares(items, together[np.ix_(columns, columns)], had[:, columns]))
        self._shares = list(_clearest(found))
        for _ in range(STEPS if len(failed) > 1 else 0):
            whole: Counter[Cause] = Counter()
            for shares in self._shares:
                whole.update(shares)
            self._shares = [_parts({cause: whole[cause] for cause in shares}) for shares in self._shares]

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


def _shares(items: Sequence[Item], together: Counts, same: Counts) -> dict[Cause, float]:
    """What each suspect has of a failure's blame.

    `same` says which of its settings each success had, too, and `together` how many had both of each two.
    """
    alone: list[Cause] = [(item,) for item, times in zip(items, np.diag(together), strict=True) if not times]
    pairs = [_cause(items, places) for places in zip(*np.triu(together == 0, 1).nonzero(), strict=True)]
    suspected = [found for found in (alone, pairs) if found]
    if not suspected:
        times = np.array([(same * same[:, [place]]).T @ same for place in range(len(items))])
        triples = [places for places in zip(*(times == 0).nonzero(), strict=True) if places[0] < places[1] < places[2]]
        suspected = [[_cause(items, places) for places in triples]] if triples else []
    return {cause: 1 / len(suspects) / len(suspected) for suspects in suspected for cause in suspects}


def _clearest(shares: Sequence[dict[Cause, float]]) -> Iterator[dict[Cause, float]]:
    causes: set[Cause] = set()
    for one in sorted(shares, key=len):
        causes |= one.keys()
        if len(causes) > MOST:
            return
        yield one


def _parts(shares: dict[Cause, float]) -> dict[Cause, float]:
    total = sum(shares.values())
    return {cause: share / total for cause, share in shares.items()}


def _cause(items: Sequence[Item], places: Sequence[int]) -> Cause:
    return tuple(items[place] for place in places)
