"""The end of a search: its sampler expects nothing more that could be claimed."""

from __future__ import annotations

import math
from collections.abc import Sequence

SETTLED_GAIN = math.log(1.03)
"""A sampler that expects less from its best proposal, as a difference of logarithms, expects nothing to be claimed.

It is the `delta` of a claim.
"""

SETTLED = 2
"""So many such proposals in a row end the search: a budget is a ceiling, not a quota."""


def converged(gains: Sequence[float | None], least: float = SETTLED_GAIN) -> bool:
    """True if the latest of these expected gains, as differences of logarithms, are all smaller than the least."""
    latest = gains[-SETTLED:]
    return len(latest) == SETTLED and all(gain is not None and gain < least for gain in latest)
