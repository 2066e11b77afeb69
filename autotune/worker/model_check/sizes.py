"""Sizes of outputs that depend on more than the number of rows, and the place that the rows have in each output."""

from __future__ import annotations

from collections.abc import Iterable

from autotune.core.finding import Finding
from autotune.core.outputs import label
from autotune.worker.model_check.subject import Outputs, Subject

WORDS = "the answer to a row depends on the rest of the batch"


def row_axes(one: Outputs, rows: int, other: Outputs | None, other_rows: int) -> dict[str, tuple[int, ...]]:
    """The dimensions of each output that are as long as the batch, in both of two calls with unlike numbers of rows.

    With one call alone it is the first of that length.
    """
    if other is None:
        return {name: (array.shape.index(rows),) if rows in array.shape else () for name, array in one.items()}
    found = {}
    for name, array in one.items():
        pairs = enumerate(zip(array.shape, other[name].shape, strict=False))
        found[name] = tuple(axis for axis, sizes in pairs if sizes == (rows, other_rows))
    return found


def find(subject: Subject, whole: Outputs, rows: int, calls: Iterable[tuple[int, Outputs]]) -> Finding | None:
    """The first output of a call of so many rows whose shape differs by more than their number; None if there is none.

    `calls` are those that the one with `rows` rows is held against.
    """
    for count, outputs in calls:
        if outputs.keys() != whole.keys():
            number = f"{len(outputs)} outputs for a batch of {count}, {len(whole)} for one of {rows}"
            return _error(subject, f"the model returns {number}", "return the same for every batch")
        axes = row_axes(whole, rows, outputs, count) if count != rows else dict.fromkeys(whole, ())
        for name, array in whole.items():
            other = outputs[name].shape
            if len(other) != array.ndim:
                what = f"{label(name)} has shape {other} for a batch of {count} and {array.shape} for one of {rows}"
                return _error(
                    subject, what, "keep the dimension of the batch, as squeeze(1) does and squeeze() does not"
                )
            if len(axes[name]) > 1:
                return _error(subject, WORDS, "return the embeddings alone, or tune one batch size", name)
            unlike = [axis for axis, size in enumerate(array.shape) if size != other[axis] and axis not in axes[name]]
            if unlike and unlike != [0]:
                few, many = sorted((array.shape[unlike[-1]], other[unlike[-1]]))
                what = f"{label(name)} has {few} {_unit(unlike[-1])} for one batch and {many} for another"
                return _error(subject, what, "pad it to a fixed length, as total_length= of pad_packed_sequence does")
    return None


def _unit(axis: int) -> str:
    return "columns" if axis == 1 else f"places in dimension {axis}"


def _error(subject: Subject, what: str, instead: str, where: str | None = None) -> Finding:
    return Finding(what=what, where=where, instead=instead, severity=subject.severity)
