from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis import rate_probe, stats
from autotune.analysis.rate_probe import ProbeSpec
from autotune.core.results import Probe
from autotune.core.workload_spec import ServingSpec
from tests.queueing import Queue, constant

MS = 1_000_000
P99 = ServingSpec(latency_ms=100)
SPEC = ProbeSpec(rate=50, seconds=2)


def probed(*latencies_ms: float, wanted: ServingSpec = P99, claim: bool = False, unanswered: int = 0) -> Probe:
    return rate_probe.evaluate(SPEC, [[int(ms * MS) for ms in latencies_ms]], unanswered, wanted, claim=claim)


# --------------------------------------------------------------------------------------------------------- a probe


@pytest.mark.parametrize(("percentile", "allowed"), [("p50", 100), ("p90", 20), ("p95", 10), ("p99", 2)])
def test_a_probe_keeps_the_limit_as_the_plain_percentile_does(percentile: str, allowed: int) -> None:
    wanted = msgspec.convert({"latency_ms": 100, "percentile": percentile}, ServingSpec)
    for over in (0, allowed, allowed + 1):
        found = probed(*[101.0] * over, *[20.0] * (200 - over), wanted=wanted)
        assert (found.requests, found.over, found.kept) == (200, over, over <= allowed)
        assert found.latency_ms == (20.0 if over <= allowed else 101.0)
    assert (found.rate, found.seconds) == (SPEC.rate, SPEC.seconds)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), st.sampled_from(["p50", "p90", "p95", "p99"]))
def test_the_percentile_is_the_least_that_so_many_do_not_exceed(latencies: list[int], name: str) -> None:
    wanted = msgspec.convert({"latency_ms": 1000, "percentile": name}, ServingSpec)
    found = rate_probe.evaluate(SPEC, [latencies[::2], latencies[1::2]], 0, wanted).latency_ms
    share = int(name[1:]) / 100
    assert sum(ns / 1e6 <= found for ns in latencies) >= share * len(latencies) - 1e-9
    assert sum(ns / 1e6 < found for ns in latencies) < share * len(latencies)


def test_a_latency_at_the_limit_is_kept() -> None:
    assert probed(100.0).kept
    assert not probed(100.0, 100.001).kept


def test_a_probe_with_unanswered_requests_or_none_at_all_keeps_nothing() -> None:
    assert not probed(*[1.0] * 100, unanswered=1).kept
    found = rate_probe.evaluate(SPEC, [[], []], 0, P99)
    assert (found.requests, found.over, found.latency_ms, found.kept) == (0, 0, 0.0, False)


@pytest.mark.parametrize(("rate", "seconds"), [(100.0, 60.0), (5.0, 105.6), (1.0, 527.9)])
def test_a_claims_probe_brings_the_requests_that_it_needs(rate: float, seconds: float) -> None:
    assert rate_probe.claim_seconds(rate, P99) == pytest.approx(seconds, abs=0.1)
    mean = rate * seconds
    assert mean - 3 * mean**0.5 >= 458.9


@pytest.mark.parametrize("requests", [100, 459, 662, 5000])
def test_a_claim_needs_early_stopping(requests: int) -> None:
    allowed = stats.calls_over(requests, 0.99)
    for over in range(0 if allowed is None else allowed, 3 if allowed is None else allowed + 2):
        latencies = [101.0, 20.0] * over + [20.0] * (requests - 2 * over)
        assert probed(*latencies, claim=True).kept is (over == allowed)
    # the search is content with more where early stopping is stricter
    latencies = [101.0, 20.0] * (requests // 100) + [20.0] * (requests - 2 * (requests // 100))
    assert rate_probe.evaluate(SPEC, [[int(ms * MS) for ms in latencies]], 0, P99).kept


# --------------------------------------------------------------------------------------------------------- growth


def test_overload_is_a_queue_that_grows() -> None:
    # a tenth too many for two seconds: the last one waits 0.2 s, which a limit of 10 s would allow
    overloaded = Queue(constant(0.01)).serve(110, 2, seed=1)
    wanted = ServingSpec(latency_ms=1000)
    assert max(overloaded[0]) < 1000 * MS
    assert rate_probe.queue_grew(overloaded, wanted)
    assert not rate_probe.evaluate(SPEC, overloaded, 0, wanted).kept


@pytest.mark.parametrize("seed", range(5))
def test_a_calm_queue_does_not_grow(seed: int) -> None:
    calm = Queue(constant(0.01), workers=2).serve(100, 2, seed)
    assert not rate_probe.queue_grew(calm, P99)


def test_growth_far_below_the_limit_does_not_matter() -> None:
    latencies = [[1 * MS] * 50 + [5 * MS] * 50]
    assert not rate_probe.queue_grew(latencies, ServingSpec(latency_ms=51))
    assert rate_probe.queue_grew(latencies, ServingSpec(latency_ms=49))


def test_few_requests_say_nothing_of_growth() -> None:
    assert rate_probe.queue_grew([[20 * MS] * 9, [90 * MS] * 10], P99) is False
    assert rate_probe.queue_grew([[20 * MS] * 5 + [90 * MS] * 5] * 2, P99) is True


@pytest.mark.parametrize(
    ("latencies", "grew"),
    [
        ([10 * MS] * 10 + [20 * MS] * 10, False),  # twice as long exactly
        ([10 * MS] * 10 + [20 * MS + 1] * 10, True),
        ([1 * MS] * 10 + [10 * MS] * 10, False),  # a tenth of the limit exactly
        ([1 * MS] * 10 + [10 * MS + 1] * 10, True),
        ([1 * MS] * 13 + [100 * MS] * 7 + [60 * MS] * 20, False),  # a mean of 35.65 ms, then 60 ms
    ],
)
def test_growth_is_beyond_twice_the_first_half_and_a_tenth_of_the_limit(latencies: list[int], grew: bool) -> None:
    assert rate_probe.queue_grew([latencies], P99) is grew


def test_growth_is_seen_where_each_worker_has_its_own_queue() -> None:
    rising = [int(ms * MS) for ms in np.linspace(1, 90, 40)]
    assert rate_probe.queue_grew([rising, rising], P99)
    assert not rate_probe.queue_grew([rising[::-1], rising], P99)
