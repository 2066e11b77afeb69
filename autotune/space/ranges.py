"""Ranges of numbers, written out so that every setting is a finite choice.

`{low, high}` with a `step` (1 unless given) is low, low + step, … and high; with `log: true` low, 2·low, 4·low, … and
high.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

MAX_RANGE = 1024
"""The most values of a range."""


def mistake(low: float, high: float, step: float | None, log: bool) -> tuple[str, str] | None:
    """The rule that a range breaks and the remedy, in words, or None; `step` is None where it is not given."""
    if low > high:
        return f"low {low:g} above high {high:g}", "write the smaller one as low"
    if log and step is not None:
        return "both 'log' and 'step'", "write one of them"
    if log and low <= 0:
        return f"low {low:g} and 'log'", "write a low above 0"
    if step is not None and step <= 0:
        return f"step {step:g}", "write a step above 0"
    if step is None and not log and not (low.is_integer() and high.is_integer()):
        return "fractions and no step", "write step: 0.1 or log: true"
    return None


def expand(low: float, high: float, *, step: float = 1, log: bool = False) -> tuple[int | float, ...] | None:
    """A range written out, ascending from `low` to `high`, both included; None if it has more than MAX_RANGE values.

    Exact in the decimals as written (0.1, 0.2, 0.3), where binary fractions would drift; whole values are ints.
    `low` <= `high`; `step` and, with `log`, `low` are above 0.
    """
    start, end, stride = (Fraction(str(number)) for number in (low, high, step))
    if log:
        doublings = (start * 2**i for i in range(MAX_RANGE))
        exact = [*itertools.takewhile(lambda number: number < end, doublings), end]
    else:
        steps = min(math.ceil((end - start) / stride), MAX_RANGE)
        exact = [*(start + i * stride for i in range(steps)), end]
    if len(exact) > MAX_RANGE:
        return None
    return tuple(int(number) if number.denominator == 1 else float(number) for number in exact)
