from __future__ import annotations

import pytest

from autotune.core.estimate import Estimate
from autotune.core.results import Block, Candidate, Latency
from autotune.core.space_types import Goal, Limit
from autotune.space import configs
from autotune.study.confirm import sample_size
from autotune.study.confirm.aggregate import Aggregate
from tests.study.fakes import machine

P99 = Goal(limits=(Limit(metric="latency_p99_ms", max=20.0),))
P90 = Goal(limits=(Limit(metric="latency_p90_ms", max=20.0), Limit(metric="throughput", min=1.0)))


def found(calls: int, blocks: int = 10, elapsed_ns: int = 500_000_000) -> Aggregate:
    """So many calls over blocks of half a second."""
    block = Block(start_ns=0, elapsed_ns=elapsed_ns, items=8.0, calls=calls // blocks, cpu_ns=1)
    config = configs.configure(machine(), batch_size=1, backend="torch_eager", options={}, knobs={})
    latency = Latency(calls=calls, p50_ms=1, p90_ms=1, p95_ms=1, p99_ms=1) if calls else None
    rate = Estimate(estimate=8.0, low=None, high=None)
    return Aggregate(candidate=Candidate(config=config, blocks=(block,) * blocks), rate=rate, calls=latency, folders=())


@pytest.mark.parametrize(
    ("goal", "calls", "seconds", "rounds"),
    [
        (Goal(), 10, 1000.0, None),
        (P90, 44, 1000.0, None),
        (P90, 40, 1000.0, 12),  # twice 44 calls, of which 40 are there, 4 a block
        (P99, 459, 1000.0, None),
        (P99, 200, 1000.0, 36),  # (918 - 200) / 20
        (P99, 200, 10.0, 20),  # as many as there is time for
        (P99, 200, 6.0, None),  # not even the fewest: 13 blocks take 6.5 s
        (P99, 0, 1000.0, None),
    ],
)
def test_blocks_that_are_lacking(goal: Goal, calls: int, seconds: float, rounds: int | None) -> None:
    assert sample_size.blocks_needed(goal, found(calls), seconds) == rounds
