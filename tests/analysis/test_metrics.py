from __future__ import annotations

import math

import msgspec
import pytest

from autotune.analysis import metrics
from autotune.analysis.metrics import FIGURES, ConstraintCheck
from autotune.core.results import Accuracy, ArtifactRef, Block, Estimate, Fidelity, Interference, Latency, Served
from autotune.core.space_types import Goal, Limit, Price
from tests.report.made import result

CALLS = Latency(calls=100, p50_ms=10.0, p90_ms=20.0, p95_ms=30.0, p99_ms=40.0, backed="p95")
CLOSE = Fidelity(
    judged=True, samples=8, cosine_similarity=0.99, centred_error=0.01, max_abs_error=0.5, top1_agreement=1
)


def judged(limit: Limit, **known: float) -> ConstraintCheck:
    (found,) = metrics.judged([limit], known)
    return found


# ------------------------------------------------------------------------------------------------------ what there is


def test_the_figures_of_a_trial() -> None:
    energy = Interference(energy_j=30.0)
    block = Block(start_ns=0, elapsed_ns=10**9, items=20.0, calls=5, cpu_ns=2 * 10**9, interference=energy)
    found = result(
        1,
        rates=(20,),
        blocks=(block, block),
        peak_rss_bytes=123,
        setup_s=1.5,
        artifact=ArtifactRef(key="k", sha256="s", bytes=9, prepare_s=0.0),
        fidelity=CLOSE,
        accuracy=Accuracy(
            metric="accuracy", samples=10, reference=0.9, value=0.8, drop=Estimate(estimate=0.1, low=0.0, high=0.2)
        ),
        served=Served(rate=17.0, probes=()),
    )
    assert metrics.of(found, 20.0, Price(per_hour=0.36), CALLS) == pytest.approx(
        {
            "throughput": 20.0,
            "cpu_s_per_sample": 0.1,
            "energy_j_per_sample": 1.5,
            "cosine_similarity": 0.99,
            "centred_error": 0.01,
            "max_abs_error": 0.5,
            "top1_agreement": 1.0,
            "cost_per_million": 5.0,  # 0.36 an hour are 0.0001 a second
            "latency_median_ms": 10.0,
            "latency_p50_ms": 10.0,
            "latency_p90_ms": 20.0,
            "latency_p95_ms": 30.0,
            "peak_rss_bytes": 123,
            "setup_s": 1.5,
            "artifact_bytes": 9,
            "accuracy": 0.8,
            "accuracy_drop": 0.1,
            "served_rate": 17.0,
        }
    )


def test_what_was_not_measured_is_no_figure() -> None:
    found = metrics.of(result(1, rates=(20,)), 20.0, None)
    assert found == {"throughput": 20.0, "cpu_s_per_sample": 0.05, "artifact_bytes": 0}


def test_energy_of_some_blocks_says_nothing() -> None:
    known = Block(start_ns=0, elapsed_ns=1, items=1, calls=1, cpu_ns=1, interference=Interference(energy_j=1.0))
    found = result(1, rates=(1,), blocks=(known, msgspec.structs.replace(known, interference=None)))
    assert "energy_j_per_sample" not in metrics.of(found, 1.0, None)


def test_unjudged_answers_are_no_figures() -> None:
    found = result(1, rates=(20,), fidelity=msgspec.structs.replace(CLOSE, judged=False))
    assert not set(metrics.OF_ANSWERS) & set(metrics.of(found, 20.0, None))


# -------------------------------------------------------------------------------------------------------- the limits


@pytest.mark.parametrize(
    ("limit", "value", "excess"),
    [
        (Limit(figure="setup_s", max=10), 12.0, 0.2),
        (Limit(figure="setup_s", max=10), 10.0, 0.0),
        (Limit(figure="setup_s", min=4), 3.0, 0.25),
        (Limit(figure="setup_s", min=4), 5.0, -0.25),
        (Limit(figure="setup_s", min=4, max=5), 4.5, -0.1),
        (Limit(figure="accuracy_drop", max=0), 0.01, 0.01),
        (Limit(figure="accuracy_drop", max=-0.5), -0.4, 0.2),
    ],
)
def test_excess_is_a_part_of_the_limit(limit: Limit, value: float, violation: float) -> None:
    found = judged(limit, **{limit.figure: value})
    assert found.violation == pytest.approx(violation)
    assert found.kept is (violation <= 0)


def test_what_cannot_be_judged_keeps_its_limit() -> None:
    found = judged(Limit(figure="cosine_similarity", min=0.99), throughput=1.0)
    assert found.kept and found.value is None and found.violation == -math.inf


def test_no_number_keeps_no_limit() -> None:
    assert not judged(Limit(figure="centred_error", max=0.1), centred_error=math.nan).kept


def test_a_percentile_is_judged_by_the_highest_that_is_backed() -> None:
    limit = Limit(figure="latency_p99_ms", max=25)
    known = metrics.of(result(1, rates=(20,)), 20.0, None, CALLS)
    found = judged(limit, **known)
    assert (found.figure, found.value, found.kept) == ("latency_p95_ms", 30.0, False)
    assert found.words == "latency_p95_ms is 30, allowed at most 25 (latency_p99_ms)"
    lower = judged(Limit(figure="latency_p90_ms", max=25), **known)
    assert (lower.figure, lower.kept) == ("latency_p90_ms", True)


def test_with_too_few_calls_for_any_percentile_the_median_is_judged() -> None:
    few = msgspec.structs.replace(CALLS, backed=None)
    known = metrics.of(result(1, rates=(20,)), 20.0, None, few)
    assert not any(name in known for name in metrics.LATENCIES)
    found = judged(Limit(figure="latency_p99_ms", max=9), **known)
    assert (found.value, found.kept) == (10.0, False)


# ---------------------------------------------------------------------------------------------------- the objectives


def test_an_objective_takes_a_percentile_as_it_was_seen() -> None:
    found = result(1, rates=(20,), latency=CALLS)
    known = metrics.of(found, 20.0, None, found.latency)
    assert metrics.objective("latency_p99_ms", found, known) == 40.0
    assert metrics.objective("throughput", found, known) == 20.0
    assert metrics.objective("served_rate", found, known) is None


def test_the_rate_alone_decides_throughput_and_cost() -> None:
    assert [name for name in FIGURES if metrics.by_rate(Goal(objectives=(name,)))] == ["throughput", "cost_per_million"]
    assert not metrics.by_rate(Goal(objectives=("throughput", "peak_rss_bytes")))
