"""The plain model that is checked, the rows that it is called with, and its outputs by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune.core import rows
from autotune.core.interfaces import Session
from autotune.core.rows import Axes
from autotune.worker.batches import Arrays
from autotune.worker.output_layout import names_of

Array = np.ndarray[Any, Any]
Outputs = dict[str, Array]


@dataclass(frozen=True)
class Subject:
    """A loaded plain model and the rows of one batch, along `axes`; each call gets copies, so that none can spoil them.

    `fixed` is the only batch size that the model takes, None where it takes any. `tuned` is the only one that the
    study tries, None where it tries several.
    """

    session: Session
    rows: Arrays
    axes: Axes
    fixed: int | None = None
    tuned: int | None = None

    @property
    def count(self) -> int:
        """The number of rows."""
        return rows.count(self.rows, self.axes)

    @property
    def module(self) -> Any:
        """The torch module; None where another runtime holds the model."""
        model = getattr(self.session, "model", None)
        return model if hasattr(model, "named_parameters") else None

    @property
    def severity(self) -> Any:
        """That of a finding which only matters where several batch sizes are compared."""
        return "notice" if self.tuned is not None else "error"

    def picked(self, *places: int) -> Arrays:
        """A batch of the rows at these places."""
        return rows.taken(self.rows, self.axes, places)

    def call(self, batch: Arrays) -> Outputs:
        """The outputs of a call with copies of these arrays."""
        return named_outputs(self.session, tuple(array.copy() for array in batch))


def told_apart(arrays: Arrays, axes: Axes) -> Arrays:
    """The rows; if all are the same, with the floats of each scaled a little more, by a quarter at most.

    Of copies of one row nobody can tell whether its answer depends on the others.
    """
    batched = [(array, axis) for array, axis in zip(arrays, axes, strict=True) if axis is not None]
    if any((array != array.take([0], axis)).any() for array, axis in batched):
        return arrays
    return tuple(
        array if axis is None or array.dtype.kind != "f" else _scaled(array, axis)
        for array, axis in zip(arrays, axes, strict=True)
    )


def _scaled(array: Array, axis: int) -> Array:
    count = array.shape[axis]
    shape = [count if place == axis else 1 for place in range(array.ndim)]
    return np.asarray(array * (1 + np.arange(count) / (4 * count)).reshape(shape), array.dtype)


def named_outputs(session: Session, batch: Arrays) -> Outputs:
    """A call's outputs by their names."""
    result = session(session.convert(batch))
    arrays = session.outputs(result)
    return dict(zip(names_of(session, result, len(arrays)), arrays, strict=True))
