"""The trials of a study as a surrogate model sees them: points with scores, noise and violated limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import TrialState

from autotune.study.model.encoding import Matrix
from autotune.study.model.points import Parameters, Points

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FAR = 3.0
"""So far inside or beyond a limit, by the inverse hyperbolic sine of the violation, is as good as farther."""

Key = frozenset[Any]


@dataclass
class Observations:
    """Points that ran with their scores, of which more is better, points that failed, and settings that answer wrong.

    `noise` is the deviation of each score, in its units; `violation` is by how much each point that ran violates its
    worst limit. `tried` holds the keys of all points, `proposed` counts those that were not planned.
    """

    points: list[Parameters] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    violation: list[float] = field(default_factory=list)
    failed: list[Parameters] = field(default_factory=list)
    wrong: list[Parameters] = field(default_factory=list)
    tried: set[Key] = field(default_factory=set)
    proposed: int = 0

    @cached_property
    def best_first(self) -> list[int]:
        """The indices of the points that ran, the best first; those that violate a limit last, the least first."""
        return sorted(range(len(self.points)), key=lambda i: (max(self.violation[i], 0.0), -self.scores[i]))


class Reader:
    """Reads the trials of a study; it finds the point of each trial once."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._by_number: dict[int, Parameters | None] = {}

    def read(self, study: Study, weights: Sequence[float]) -> Observations:
        """The observations, with one score a trial: several objectives are weighted by `weights`."""
        signs = [1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions]
        seen = Observations()
        values: list[list[float]] = []
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            point = self._point(trial)
            if point is None:
                continue
            seen.tried.add(key(point))
            seen.proposed += "fixed_params" not in trial.system_attrs
            if (deciding := trial.user_attrs.get("wrong")) is not None:
                seen.wrong.append({name: point[name] for name in deciding if name in point})
                continue
            if trial.state == TrialState.PRUNED:
                seen.failed.append(point)
                continue
            values.append([sign * value for sign, value in zip(signs, trial.values, strict=True)])
            seen.points.append(point)
            seen.noise.append(float(trial.user_attrs.get("noise", 0.0)))
            violation = math.asinh(max(trial.constraints.values(), default=-math.inf))
            seen.violation.append(min(max(violation, -FAR), FAR))
        seen.scores, unit = _scalarised([_logarithms(column) for column in zip(*values, strict=True)], weights)
        seen.noise = [noise * unit for noise in seen.noise]
        return seen

    def _point(self, trial: FrozenTrial) -> Parameters | None:
        """A trial's point; None where it is outside the space, as a baseline may be, or of another version."""
        if trial.number not in self._by_number:
            outside = not trial.params and bool(self._points.axes)
            self._by_number[trial.number] = None if outside else self._points.of_trial(dict(trial.params))
        return self._by_number[trial.number]


def key(point: Parameters) -> Key:
    """The same for equal points."""
    return frozenset(point.items())


def distinct(points: Iterable[Parameters | None]) -> list[Parameters]:
    """The points without None, each once."""
    return list({key(point): point for point in points if point is not None}.values())


def _scalarised(columns: Sequence[Matrix], weights: Sequence[float]) -> tuple[list[float], float]:
    """One score a trial, and the size of a difference of logarithms in its units.

    With several objectives that is the weighted worst of them, each on a scale from 0 to 1.
    """
    if len(columns) < 2:
        return [float(value) for column in columns for value in column], 1.0
    table = np.column_stack(columns)
    width = np.ptp(table, axis=0)
    units = np.array(weights) / sum(weights) / np.where(width > 0, width, 1.0)
    scaled = (table - table.max(axis=0)) * units
    return list(map(float, scaled.min(axis=1) + 0.05 * scaled.sum(axis=1))), float(units.max())


def _logarithms(values: Sequence[float]) -> Matrix:
    """An objective, more being better, as signed logarithms, so that ratios count; as it is where signs differ.

    One that is 0 counts as a tenth of the least other one.
    """
    column = np.array(values)
    sizes = np.abs(column)
    if column.min() < 0 < column.max() or not sizes.any():
        return column
    logs = np.log(np.maximum(sizes, sizes[sizes > 0].min() / 10))
    return np.asarray(logs if column.max() > 0 else -logs)
