"""Memory that grows from call to call."""

from __future__ import annotations

import time

from autotune.analysis import memory_growth
from autotune.core.finding import Finding
from autotune.worker import process_info
from autotune.worker.batches import Arrays
from autotune.worker.model_check.subject import Subject

CALLS = 50
LEAST_CALLS = 20
"""Fewer calls in the time that there is say nothing."""

SECONDS = 0.6
GROWS = 2**16
"""The growth (bytes a call) from which on it is said: the memory of an allocator grows by itself in steps."""


def find(subject: Subject, batch: Arrays, call_s: float) -> Finding | None:
    """A notice where memory grows in both halves of up to 50 calls, of which the first ones do not count.

    None where it does not, or calls of so many seconds are too long for it.
    """
    if LEAST_CALLS * call_s > SECONDS:
        return None
    inputs = subject.session.convert(tuple(array.copy() for array in batch))
    limit = time.monotonic() + SECONDS
    held: list[int] = []
    while len(held) <= CALLS and time.monotonic() < limit:
        subject.session(inputs)
        held.append(process_info.rss_bytes())
    if len(held) <= LEAST_CALLS:
        return None
    begin, middle, end = held[len(held) // 5], held[len(held) * 3 // 5], held[-1]
    calls = len(held) - 1 - len(held) // 5
    grown = (end - begin) / calls
    if grown < GROWS or (middle - begin) / (end - begin) < 0.25 or (end - middle) / (end - begin) < 0.25:
        return None
    return Finding(
        what=f"memory grows by {memory_growth.words(grown)} a call",
        instead="keep nothing of a call in a list or cache that is never emptied",
    )
