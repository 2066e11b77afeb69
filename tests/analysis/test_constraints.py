from __future__ import annotations

import math

import msgspec
import pytest

from autotune.analysis import constraints, metrics
from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metric import Measured
from autotune.core.answers import Fidelity
from autotune.core.results import Latency
from autotune.core.space_types import Limit
from tests.report.made import result

CALLS = Latency(calls=100, p50_ms=10.0, p90_ms=20.0, p95_ms=30.0, p99_ms=40.0, backed="p95")


def checked(limit: Limit, **values: float) -> ConstraintCheck:
    (found,) = constraints.check([limit], values)
    return found


@pytest.mark.parametrize(
    ("limit", "value", "violation"),
    [
        (Limit(metric="setup_s", max=10), 12.0, 0.2),
        (Limit(metric="setup_s", max=10), 10.0, 0.0),
        (Limit(metric="setup_s", min=4), 3.0, 0.25),
        (Limit(metric="setup_s", min=4), 5.0, -0.25),
        (Limit(metric="setup_s", min=4, max=5), 4.5, -0.1),
        (Limit(metric="accuracy_drop", max=0), 0.01, 0.01),
        (Limit(metric="accuracy_drop", max=-0.5), -0.4, 0.2),
        (Limit(metric="cosine_similarity", min=0), -0.5, 0.5),
    ],
)
def test_a_violation_is_a_part_of_the_limit(limit: Limit, value: float, violation: float) -> None:
    found = checked(limit, **{limit.metric: value})
    assert found.violation == pytest.approx(violation)
    assert found.satisfied is (violation <= 0)


def test_a_limit_that_cannot_be_judged_counts_as_kept() -> None:
    found = checked(Limit(metric="cosine_similarity", min=0.99), throughput=1.0)
    assert found.satisfied and found.value is None and found.violation == -math.inf
    assert found.description == "cosine_similarity is not to be had, allowed at least 0.99"


def test_a_metric_that_is_checked_by_itself_is_described_once() -> None:
    assert (
        checked(Limit(metric="setup_s", max=10), setup_s=12.3456).description == "setup_s is 12.35, allowed at most 10"
    )


def test_a_hard_limit_refuses_what_cannot_be_judged() -> None:
    hard = Limit(metric="cosine_similarity", min=0.99, unjudged="reject")
    found = checked(hard, throughput=1.0)
    assert not found.satisfied and found.value is None and found.violation == math.inf
    assert found.description == "cosine_similarity is not judged: refused, allowed at least 0.99"
    assert checked(hard, cosine_similarity=0.995).satisfied


def test_a_hard_limit_on_a_percentile_is_checked_by_the_median_of_few_calls() -> None:
    hard = Limit(metric="latency_p99_ms", max=25, unjudged="reject")
    assert checked(hard, latency_median_ms=20.0).satisfied
    assert not checked(hard, throughput=1.0).satisfied


def test_no_number_keeps_no_limit() -> None:
    assert not checked(Limit(metric="centred_error", max=0.1), centred_error=math.nan).satisfied


def test_a_percentile_is_judged_by_the_highest_that_is_backed() -> None:
    limit = Limit(metric="latency_p99_ms", max=25)
    known = metrics.values(Measured(result(1, rates=(20,)), 20.0, latency=CALLS))
    found = checked(limit, **known)
    assert (found.metric, found.value, found.satisfied) == ("latency_p95_ms", 30.0, False)
    assert found.description == "latency_p95_ms is 30, allowed at most 25 (latency_p99_ms)"
    lower = checked(Limit(metric="latency_p90_ms", max=25), **known)
    assert (lower.metric, lower.satisfied) == ("latency_p90_ms", True)


def test_with_too_few_calls_for_any_percentile_the_median_is_checked() -> None:
    few = msgspec.structs.replace(CALLS, backed=None)
    known = metrics.values(Measured(result(1, rates=(20,)), 20.0, latency=few))
    assert not any(name in known for name in metrics.LATENCIES)
    found = checked(Limit(metric="latency_p99_ms", max=9), **known)
    assert (found.value, found.satisfied) == (10.0, False)


def test_the_answers_alone_tell_whether_their_limits_are_broken() -> None:
    near = Limit(metric="centred_error", max=0.1)
    alike = Limit(metric="cosine_similarity", min=0.99)
    fast = Limit(metric="throughput", min=100.0)
    assert constraints.on_answers([fast, near, alike]) == (near, alike)
    far = Fidelity(judged=True, samples=8, cosine_similarity=0.7, centred_error=2.5, max_abs_error=9.0)
    found = constraints.broken([fast, near, alike], result(1, fidelity=far))
    assert found is not None and found.description == "centred_error is 2.5, allowed at most 0.1"
    assert constraints.broken([fast], result(1, fidelity=far)) is None
    assert constraints.broken([near], result(1)) is None
    hard = Limit(metric="centred_error", max=0.1, unjudged="reject")
    assert constraints.broken([hard], result(1, fidelity=msgspec.structs.replace(far, judged=False))) is not None


def test_no_limit_on_memory_is_kept_while_it_grows() -> None:
    limit = Limit(metric="peak_rss_bytes", max=8e9)
    assert checked(limit, peak_rss_bytes=2e9).satisfied
    found = checked(limit, peak_rss_bytes=2e9, rss_growth_bytes=2.0**20)
    assert not found.satisfied and found.violation == math.inf
    assert found.description == (
        "peak_rss_bytes is 2e+09 and grew by 1.0 MiB a call until the end, allowed at most 8e+09"
    )
    assert checked(Limit(metric="throughput", min=1.0), throughput=2.0, rss_growth_bytes=2.0**20).satisfied
