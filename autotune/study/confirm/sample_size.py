"""A limit on a latency percentile wants calls: how long a configuration is measured alone until they are enough."""

from __future__ import annotations

import math

from autotune.analysis import stats
from autotune.analysis.latency import PERCENTILES
from autotune.analysis.metrics import LATENCIES
from autotune.core.space_types import Goal
from autotune.study.confirm.aggregate import Aggregate

MORE = 2
"""So many times the fewest calls that back a percentile are made where the time allows: few scatter widely."""


def rounds(goal: Goal, found: Aggregate, seconds: float) -> int | None:
    """The blocks that a configuration still lacks until every limited percentile is backed.

    None where it lacks none, or where even the fewest would take longer than these seconds.
    """
    limited = [PERCENTILES[LATENCIES[limit.metric]] for limit in goal.limits if limit.metric in LATENCIES]
    wanted = max(map(stats.calls_needed, limited), default=0)
    calls, blocks = 0 if found.calls is None else found.calls.calls, found.candidate.blocks
    if calls == 0 or calls >= wanted:
        return None
    a_block = calls / len(blocks)
    affordable = math.floor(seconds / (sum(block.elapsed_ns for block in blocks) / len(blocks) / 1e9))
    least, most = (math.ceil((count - calls) / a_block) for count in (wanted, MORE * wanted))
    return min(most, affordable) if affordable >= least else None
