"""An estimate with its interval."""

from __future__ import annotations

from autotune.core.struct import Struct


class Estimate(Struct):
    """An estimate with its interval; None where there are too few values for one."""

    estimate: float
    low: float | None
    high: float | None
