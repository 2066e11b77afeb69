"""One probe of a load test: requests arrive at a rate for some seconds, and keep the latency limit or do not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autotune.analysis import stats
from autotune.core.results import Probe
from autotune.core.struct import Struct
from autotune.core.workload_spec import ServingSpec

GROWTH = 2.0
"""A queue grew if later requests took so many times as long as earlier ones: it grew by four calls or more."""

MATTERS = 0.1
"""Growth matters from this part of the limit on."""

FEW = 20
"""Fewer requests do not show whether later ones took longer."""

CLAIM_S = 60.0
"""The least length of a probe for a claim."""

DEVIATIONS = 3.0
"""A claim's probe is so long that its requests are too few only beyond so many standard deviations."""


class ProbeSpec(Struct):
    """A probe to make: requests a second (one sample each), and for how long."""

    rate: float
    seconds: float


def evaluate(
    spec: ProbeSpec,
    latencies_ns: Sequence[Sequence[int]],
    unanswered: int,
    serving: ServingSpec,
    *,
    claim: bool = False,
) -> Probe:
    """The result of a probe from its requests' latencies by worker, in the order of arrival.

    The limit is kept if the plain empirical percentile is within it, or for a `claim` by MLPerf's early-stopping rule
    (`stats.calls_over`), which too few requests never meet; if every request was answered; and if the queue did not
    grow.
    """
    percent = percentage(serving)
    latencies_ms = np.sort(np.concatenate(latencies_ns)) / 1e6
    count = len(latencies_ms)
    above = count * (100 - percent) // 100
    over = int(np.count_nonzero(latencies_ms > serving.latency_ms))
    allowed = stats.calls_over(count, percent / 100) if claim else above
    within = count > 0 and allowed is not None and over <= allowed
    return Probe(
        rate=spec.rate,
        seconds=spec.seconds,
        requests=count,
        over=over,
        latency_ms=float(latencies_ms[count - 1 - above]) if count else 0.0,
        kept=within and unanswered == 0 and not queue_grew(latencies_ns, serving),
    )


def claim_seconds(rate: float, serving: ServingSpec) -> float:
    """The length of a probe for a claim: a minute, or until there are the requests that back the percentile.

    Of a Poisson process: a mean m with m − DEVIATIONS·√m requests enough.
    """
    least = stats.calls_needed(percentage(serving) / 100)
    return max(CLAIM_S, ((DEVIATIONS + math.sqrt(DEVIATIONS**2 + 4 * least)) / 2) ** 2 / rate)


def queue_grew(latencies_ns: Sequence[Sequence[int]], serving: ServingSpec) -> bool:
    """True if the queue grew while requests arrived: the second half of them took far longer on average.

    Where the rate is too high by a share ε the latency rises by ε of the time, which a long limit hides at first.
    """
    if sum(map(len, latencies_ns)) < FEW:
        return False
    first = np.concatenate([share[: len(share) // 2] for share in latencies_ns]).mean()
    second = np.concatenate([share[len(share) // 2 :] for share in latencies_ns]).mean()
    return bool(second > GROWTH * first and second > MATTERS * serving.latency_ms * 1e6)


def percentage(serving: ServingSpec) -> int:
    """The limited percentile as a number: 99 for `p99`."""
    return int(serving.percentile.removeprefix("p"))
