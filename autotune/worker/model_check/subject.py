"""The plain model that is checked, the rows that it is called with, and its outputs by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune.core import rows
from autotune.core.interfaces import Session
from autotune.core.outputs import tensors
from autotune.core.rows import Axes
from autotune.worker.batches import Arrays

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


def named_outputs(session: Session, batch: Arrays) -> Outputs:
    """A call's outputs by their names.

    A runtime that does not return what the model does names its outputs by their numbers.
    """
    result = session(session.convert(batch))
    names, arrays = [name for name, _ in tensors(result)], session.outputs(result)
    if len(names) != len(arrays):
        names = list(map(str, range(len(arrays))))
    return dict(zip(names, arrays, strict=True))
