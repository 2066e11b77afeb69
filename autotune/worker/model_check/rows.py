"""Rows of a batch whose answers depend on the other rows: another batch size, or other neighbours, changes them.

Half of the rows are kept and the others replaced, at the same batch size, so that the same kernels compute the same
sums: what differs then is no rounding. Apart from that, rows are computed alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autotune.core.finding import Finding
from autotune.worker.model_check import batch_layers, difference, sizes
from autotune.worker.model_check.subject import Array, Outputs, Subject

DEPENDS = 1e-6
"""The difference by other neighbours above which a row depends on them."""

MATTERS = 0.01
"""That above which the answers of other batch sizes cannot be compared."""

ALONE = 1e-3
"""The difference between a row computed alone and in a batch up to which it may be rounding."""


def find(subject: Subject, places: tuple[int, ...], whole: Outputs, alone: Mapping[int, Outputs]) -> Finding | None:
    """How the rows at these places depend on each other: `whole` are their batch's outputs, `alone` single rows'."""
    if found := sizes.find(subject, whole, len(places), [(1, outputs) for outputs in alone.values()]):
        return found
    axes = sizes.row_axes(whole, len(places), next(iter(alone.values()), None), 1)
    return _neighbours(subject, places, whole, axes) or _alone(subject, places, whole, alone, axes)


def _neighbours(
    subject: Subject, places: tuple[int, ...], whole: Outputs, axes: dict[str, tuple[int, ...]]
) -> Finding | None:
    """The rows kept while the others are replaced by copies of them: first the first half, then the last."""
    count = len(places)
    half = count // 2
    if not half:
        return None
    first = subject.call(subject.picked(*(places[i if i < half else (i - half) % half] for i in range(count))))
    last = subject.call(subject.picked(*(places[i if i >= half else half + i % (count - half)] for i in range(count))))
    if found := sizes.find(subject, whole, count, [(count, first), (count, last)]):
        return found
    by_later = _differences(whole, first, axes, np.arange(half), np.arange(half))
    by_earlier = _differences(whole, last, axes, np.arange(half, count), np.arange(half, count))
    names = {name: max(by_later[name], by_earlier[name]) for name in by_later}
    if (most := max(names.values(), default=0.0)) <= DEPENDS:
        return None
    worst = max(names, key=lambda name: names[name])
    where, instead = batch_layers.suspect(subject.module) or (worst, "make each row's answer its own")
    if max(by_later.values()) <= DEPENDS:
        what = "a row's answer depends on the rows before it"
        instead = batch_layers.SEQUENCE_FIRST if where == worst else instead
    else:
        what = sizes.WORDS
    if most <= MATTERS:
        return Finding(what=f"{what}, by {most:.1g} of the variation between rows", where=where, instead=instead)
    return Finding(what=what, where=where, instead=f"{instead}, or tune one batch size", severity=subject.severity)


def _alone(
    subject: Subject,
    places: tuple[int, ...],
    whole: Outputs,
    alone: Mapping[int, Outputs],
    axes: dict[str, tuple[int, ...]],
) -> Finding | None:
    """A row that is computed otherwise when it is alone."""
    for place, outputs in alone.items():
        found = _differences(whole, outputs, axes, np.array([places.index(place)]), np.array([0]))
        name = max(found, key=lambda name: found[name], default=None)
        if name is not None and found[name] > ALONE:
            return Finding(
                what=f"a row's answer is another one alone than in a batch of {len(places)}",
                where=f"output {name}, by {found[name]:.1g} of the variation between rows",
                instead="let the number of rows change no answer, or tune one batch size",
                severity=subject.severity if found[name] > MATTERS else "notice",
            )
    return None


def _differences(
    whole: Outputs, other: Outputs, axes: dict[str, tuple[int, ...]], rows: Array, others: Array
) -> dict[str, float]:
    """The largest difference between rows of two calls, by output; those without rows are left out."""
    found = {}
    for name, (axis, *_) in ((name, axes[name]) for name in whole if axes[name]):
        one, two = np.moveaxis(whole[name], axis, 0), np.moveaxis(other[name], axis, 0)
        pairs = zip(one[rows], two[others], strict=True)
        found[name] = max(difference.between(row, same, spread=one) for row, same in pairs)
    return found
