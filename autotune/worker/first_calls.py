"""First calls of a loaded model, on rows whose reference is known, and the check of their outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from autotune.core.answers import Fidelity
from autotune.core.interfaces import Session
from autotune.core.rows import Axes
from autotune.worker import output_check
from autotune.worker.batches import Arrays, with_reference_rows
from autotune.worker.fed_back import answer
from autotune.worker.reference import Reference

clock = time.monotonic_ns


def check_outputs(
    session: Session,
    arrays: Callable[[int], Arrays],
    axes: Axes,
    size: int,
    expected: Reference,
    trained: bool,
    seconds: float,
) -> tuple[Any, Fidelity, float]:
    """The batch to measure, the closeness of the outputs to the reference, and the seconds of the first call.

    CheckFailed where an output is wrong.
    """
    parts, rows = with_reference_rows(arrays, axes, size, len(expected.outputs[0]))
    first = session.convert(parts[0])
    results, first_call_s = call_all(session, first, parts[1:], seconds)
    outputs = expected.layout.joined(results, [size] * len(results))
    fidelity = output_check.compare(outputs, expected, trained, rows[: len(results) * size])
    return first, fidelity, first_call_s


def call_all(session: Session, batch: Any, others: Sequence[Arrays], seconds: float) -> tuple[list[Arrays], float]:
    """The outputs of each batch that was run, and the seconds of the first call.

    Those after it go on while another one as long as the last ends within so many seconds. Of a first call that
    compiles nobody knows how long the next one takes.
    """
    begin = clock()
    results = [session.outputs(answer(session, batch))]
    first = now = clock()
    last_ns = 0 if getattr(session, "compiles", False) else first - begin
    for other in others:
        if now - first + last_ns > seconds * 1e9:
            break
        results.append(session.outputs(answer(session, session.convert(other))))
        now, before = clock(), now
        last_ns = now - before
    return results, (first - begin) / 1e9
