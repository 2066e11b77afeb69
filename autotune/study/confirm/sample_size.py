"""The number of calls that a limit on a latency percentile needs, in blocks of one candidate measured alone."""

from __future__ import annotations

import math

from autotune.analysis import stats
from autotune.analysis.latency import PERCENTILES
from autotune.analysis.metrics import LATENCIES
from autotune.core.space_types import Goal
from autotune.study.confirm.aggregate import Aggregate

MORE = 2
"""So many times the fewest calls that back a percentile are made where the time allows: few scatter widely."""


def blocks_needed(goal: Goal, merged: Aggregate, seconds: float) -> int | None:
    """The additional blocks that a candidate needs until every limited percentile has enough calls.

    None where it needs none, or where even the fewest would take longer than these seconds.
    """
    limited = [PERCENTILES[LATENCIES[limit.metric]] for limit in goal.limits if limit.metric in LATENCIES]
    needed = max(map(stats.calls_needed, limited), default=0)
    calls, blocks = 0 if merged.calls is None else merged.calls.calls, merged.candidate.blocks
    if calls == 0 or calls >= needed:
        return None
    calls_per_block = calls / len(blocks)
    affordable = math.floor(seconds / (sum(block.elapsed_ns for block in blocks) / len(blocks) / 1e9))
    fewest, wanted = (math.ceil((count - calls) / calls_per_block) for count in (needed, MORE * needed))
    return min(wanted, affordable) if affordable >= fewest else None
