"""Where the rows of a batch lie in each output, found by running two batch sizes; outputs with their rows in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from autotune.core import rows
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.outputs import label, tensors
from autotune.core.rows import Axes
from autotune.core.struct import Struct
from autotune.worker.batches import Arrays

FEWER = 3
"""The rows of the smaller batch: one row alone is a special case in many models."""

Axis = int | Literal["whole"] | None
"""The batch dimension of an output; None where it is the same for every batch, `whole` where it is one for all rows."""


STACKED = "return tensors with a dimension for the batch (torch.stack, padded to one size)"

SHOWN = 4
"""So many shapes are named in an error: a list of boxes a row has many."""


class Layout(Struct):
    """The outputs of a model: their names, and the batch dimension of each."""

    names: tuple[str, ...]
    axes: tuple[Axis, ...]

    @property
    def compared(self) -> tuple[str, ...]:
        """The outputs that can be compared row by row."""
        return tuple(name for name, axis in zip(self.names, self.axes, strict=True) if axis != "whole")

    def in_front(self, outputs: Arrays, size: int) -> Arrays:
        """The outputs of a batch of `size` that can be compared, the rows first in each.

        One that is the same for every batch is repeated for each row. Outputs of another number stay as they are.
        """
        if len(outputs) != len(self.axes):
            return outputs
        found = []
        for output, axis in zip(outputs, self.axes, strict=True):
            if axis is None:
                found.append(np.broadcast_to(output, (size, *output.shape)))
            elif axis != "whole":
                found.append(np.moveaxis(output, axis, 0) if axis < output.ndim else output)
        return tuple(found)

    def joined(self, parts: Sequence[Arrays], sizes: Sequence[int]) -> Arrays:
        """The compared outputs of several batches, of so many rows each, as those of one.

        ModelError where their other sizes depend on the batch.
        """
        moved = [self.in_front(outputs, size) for outputs, size in zip(parts, sizes, strict=True)]
        for place, name in enumerate(self.compared if len(moved[0]) == len(self.compared) else ()):
            shapes = [outputs[place].shape[1:] for outputs in moved]
            if other := next((shape for shape in shapes if shape != shapes[0]), None):
                axis = self.axes[self.names.index(name)]
                at = axis if isinstance(axis, int) else 0
                raise ModelError(_varies(name, *([*shape[:at], 0, *shape[at:]] for shape in (shapes[0], other))))
        return tuple(np.concatenate(arrays) for arrays in zip(*moved, strict=True))


def of(session: Session, batch: Arrays, axes: Axes, *, fixed: bool) -> Layout:
    """The layout of a loaded model's outputs; ModelError where they cannot be compared row by row.

    A model that takes only batches of this size, by its file (`fixed`) or by an error of its own, is not called with
    another.
    """
    result = session(session.convert(tuple(array.copy() for array in batch)))
    whole, size = session.outputs(result), rows.count(batch, axes)
    names = names_of(session, result, len(whole))
    if not fixed and size > 1:
        fewer = min(FEWER, size - 1)
        part = session.convert(rows.taken(batch, axes, np.arange(fewer)))
        try:
            outputs = session.outputs(session(part))
        except Exception:  # of any type, from the model's own code
            return guessed(names, whole, size)
        return found(names, whole, outputs, size, fewer)
    return guessed(names, whole, size)


def names_of(session: Session, result: Any, count: int) -> tuple[str, ...]:
    """The names in the model's own file, else the places in what the model returns, else numbers."""
    if not count:
        raise ModelError("the model returns no tensor; there is nothing to compare")
    for names in (getattr(session, "output_names", ()), [name for name, _ in tensors(result)]):
        if len(names) == count:
            return tuple(names)
    return tuple(map(str, range(count)))


def found(names: Sequence[str], whole: Arrays, part: Arrays, size: int, rows_of_part: int) -> Layout:
    """The layout by the outputs of a batch and of its first rows; ModelError where a row has no place of its own."""
    if len(whole) != len(part):
        raise ModelError(
            f"the model returns {len(whole)} tensors for a batch of {size} and {len(part)} for one of {rows_of_part}; "
            f"{STACKED}"
        )
    outputs = zip(names, whole, part, strict=True)
    return _checked(Layout(names=tuple(names), axes=tuple(_axis(*one, size, rows_of_part) for one in outputs)), whole)


def guessed(names: Sequence[str], whole: Arrays, size: int) -> Layout:
    """The layout of a model that takes no other batch size: the first dimension of that size is the batch."""
    axes = tuple(output.shape.index(size) if size in output.shape else None for output in whole)
    return _checked(Layout(names=tuple(names), axes=axes), whole)


def _checked(layout: Layout, whole: Arrays) -> Layout:
    if not any(isinstance(axis, int) for axis in layout.axes):
        shapes = ", ".join([*(str(output.shape) for output in whole[:SHOWN]), *["..."] * (len(whole) > SHOWN)])
        raise ModelError(f"no output has a dimension for the batch; their shapes are {shapes}; {STACKED}")
    return layout


def _axis(name: str, whole: np.ndarray[Any, Any], part: np.ndarray[Any, Any], size: int, fewer: int) -> Axis:
    if whole.ndim != part.ndim:
        raise ModelError(f"{label(name)} has shape {whole.shape} for a batch of {size} and {part.shape} for {fewer}")
    changed = [axis for axis in range(whole.ndim) if whole.shape[axis] != part.shape[axis]]
    batch = [axis for axis in changed if (whole.shape[axis], part.shape[axis]) == (size, fewer)]
    if not changed:
        return None if np.allclose(whole, part, rtol=1e-3, atol=1e-5, equal_nan=True) else "whole"
    if len(batch) > 1:
        raise ModelError(
            f"the answer to a row depends on the rest of the batch ({name} has shape {whole.shape} for a batch of "
            f"{size}); return what belongs to each row alone, such as the embeddings"
        )
    if len(batch) == len(changed):
        return batch[0]
    if not batch and whole.shape[changed[0]] * fewer == part.shape[changed[0]] * size:
        raise ModelError(
            f"{label(name)} has shape {whole.shape} for a batch of {size}: several rows for each sample; "
            "reshape it so that one dimension is the batch"
        )
    raise ModelError(_varies(name, list(whole.shape), list(part.shape), besides=batch))


def _varies(name: str, one: list[int], other: list[int], besides: Sequence[int] = ()) -> str:
    axis = next(axis for axis in range(len(one)) if one[axis] != other[axis] and axis not in besides)
    unit = "columns" if axis == 1 else f"values in dimension {axis}"
    called = f"output {name}" if name.isdecimal() else label(name)
    return (
        f"{called} has {one[axis]} {unit} for one batch and {other[axis]} for another; "
        "pad it to a fixed length (such as pad_packed_sequence's total_length=)"
    )
