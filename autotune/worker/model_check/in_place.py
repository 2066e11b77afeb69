"""Inputs that a call changes in place: whoever calls again with them gets other answers."""

from __future__ import annotations

from autotune.core.finding import Finding
from autotune.worker.batches import Arrays
from autotune.worker.model_check import operations
from autotune.worker.model_check.subject import Subject


def find(subject: Subject, batch: Arrays) -> Finding | None:
    """An error that names the first input that a call with this batch changes; None where all stay as they are."""
    given = tuple(array.copy() for array in batch)
    subject.session(subject.session.convert(given))
    changed = [index for index, array in enumerate(given) if array.tobytes() != batch[index].tobytes()]
    if not changed:
        return None
    return Finding(
        what=f"the model changes its input {changed[0]} in place",
        where=_line(subject, batch, changed[0]),
        instead="write x = x / 255, say, for x.div_(255), and inplace=False for a first layer",
        severity="error",
    )


def _line(subject: Subject, batch: Arrays, index: int) -> str | None:
    """The line of the model that changes it; None where that is no torch module."""
    if subject.module is None:
        return None
    tensors = subject.session.convert(tuple(array.copy() for array in batch))
    with operations.first(operations.changes([tensors[index]])) as lines:
        subject.session(tensors)
    return lines[0] if lines else None
