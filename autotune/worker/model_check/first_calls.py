"""The first calls of a model with one row and with several, either of which may fail."""

from __future__ import annotations

import time
from dataclasses import dataclass

from autotune.core.finding import Finding
from autotune.core.user_function import last_line
from autotune.worker.batches import Arrays
from autotune.worker.model_check import batch_layers, in_place
from autotune.worker.model_check.subject import Outputs, Subject

SECONDS = 1.0
"""The calls with many rows may take so long together; of a slower model two rows are looked at."""

CALLS = 5
"""The calls with many rows: three alike, and two with other neighbours."""

BYTES = 2**28
"""The most memory that the outputs of such a call may take."""


@dataclass(frozen=True)
class FirstCall:
    """A call of the rows at these places: its outputs or the error, what it changed in place, its seconds."""

    places: tuple[int, ...]
    outputs: Outputs | None = None
    error: Exception | None = None
    changed: Finding | None = None
    seconds: float = 0.0

    @property
    def row_bytes(self) -> int:
        """The memory of all outputs of a row."""
        return sum(array.nbytes for array in (self.outputs or {}).values()) // len(self.places)


def call(subject: Subject, places: tuple[int, ...]) -> FirstCall:
    """A call that warms up and is looked at, and if nothing is wrong one that is timed."""
    batch = subject.picked(*places)
    try:
        if changed := in_place.find(subject, batch):
            return FirstCall(places, changed=changed)
        begin = time.monotonic()
        outputs = subject.call(batch)
    except Exception as error:  # of the model's own code
        return FirstCall(places, error=error)
    return FirstCall(places, outputs, seconds=time.monotonic() - begin)


def again(subject: Subject, batch: Arrays) -> Outputs | Finding:
    """The outputs of a batch that was called before, now after others; an error where the model fails then."""
    try:
        return subject.call(batch)
    except Exception as error:  # of the model's own code
        return Finding(
            what=f"a call fails after one with another batch: {last_line(error)}; the model keeps something of a call",
            instead="keep nothing from one call to the next in the module or beside it",
            severity="error",
        )


def several(subject: Subject, one: FirstCall | None) -> tuple[int, ...]:
    """The places of the rows to call together: all where `one`, the call of a row, was quick and small, else two."""
    if subject.fixed is not None:
        return tuple(range(subject.fixed))
    count = min(subject.count, subject.tuned or subject.count)
    costly = one is not None and (count * CALLS * one.seconds > SECONDS or count * one.row_bytes > BYTES)
    return (0, count - 1) if costly and count > 2 else tuple(range(count))


def failed(subject: Subject, one: FirstCall | None, more: FirstCall) -> Finding | None:
    """What is said where the model takes one row or several, but not both; None where it takes both."""
    if one is None or (one.error is None) == (more.error is None):
        return None
    error, fails, works = (one.error, 1, len(more.places)) if one.error else (more.error, len(more.places), 1)
    assert error is not None
    where, instead = batch_layers.suspect(subject.module) or (None, "let its code take any number of rows")
    return Finding(
        what=f"the model takes a batch of {works} but not of {fails}: {last_line(error)}",
        where=where,
        instead=f"{instead}, or tune one batch size",
        severity=subject.severity,
    )
