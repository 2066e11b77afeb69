"""What several benchmarks share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from scipy.special import stdtrit


class Quiet:
    """An observer that says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half the width of its 95 % interval."""
    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), half
