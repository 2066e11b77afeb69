from __future__ import annotations

import msgspec
import pytest

from autotune.analysis import metrics
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import METRICS
from autotune.core.results import (
    Accuracy,
    ArtifactRef,
    Block,
    Estimate,
    Fidelity,
    Interference,
    Latency,
    Served,
    Sustained,
)
from autotune.core.space_types import Goal, Price
from tests.report.made import result

CALLS = Latency(calls=100, p50_ms=10.0, p90_ms=20.0, p95_ms=30.0, p99_ms=40.0, backed="p95")
CLOSE = Fidelity(
    judged=True, samples=8, cosine_similarity=0.99, centred_error=0.01, max_abs_error=0.5, top1_agreement=1
)

# -------------------------------------------------------------------------------------------------------- values


def test_the_metrics_of_a_trial() -> None:
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
    assert metrics.values(Measured(found, 20.0, Price(per_hour=0.36), CALLS)) == pytest.approx(
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


def test_a_metric_that_was_not_measured_is_absent() -> None:
    found = metrics.values(Measured(result(1, rates=(20,)), 20.0))
    assert found == {"throughput": 20.0, "cpu_s_per_sample": 0.05, "artifact_bytes": 0}


def test_energy_of_some_blocks_says_nothing() -> None:
    known = Block(start_ns=0, elapsed_ns=1, items=1, calls=1, cpu_ns=1, interference=Interference(energy_j=1.0))
    found = result(1, rates=(1,), blocks=(known, msgspec.structs.replace(known, interference=None)))
    assert "energy_j_per_sample" not in metrics.values(Measured(found, 1.0))


def test_unjudged_outputs_have_no_metrics() -> None:
    found = result(1, rates=(20,), fidelity=msgspec.structs.replace(CLOSE, judged=False))
    known = metrics.values(Measured(found, 20.0))
    assert not [name for name in known if name in METRICS and METRICS[name].needs == "outputs"]


def test_a_load_test_has_the_metrics_of_its_start_and_outputs() -> None:
    served = Sustained(setup_s=1.5, peak_rss_bytes=123, fidelity=CLOSE)
    assert metrics.values(Measured(served)) == {
        "setup_s": 1.5,
        "peak_rss_bytes": 123,
        "cosine_similarity": 0.99,
        "centred_error": 0.01,
        "max_abs_error": 0.5,
        "top1_agreement": 1,
    }


def test_percentiles_are_read_up_to_the_one_that_is_backed() -> None:
    few = msgspec.structs.replace(CALLS, backed=None)
    read = [[metrics.backed_ms(calls, name) for name in metrics.PERCENTILES] for calls in (CALLS, few)]
    assert read == [[10.0, 20.0, 30.0, None], [None] * 4]


# ---------------------------------------------------------------------------------------------------- objectives


def test_an_objective_takes_a_percentile_as_it_was_seen() -> None:
    found = result(1, rates=(20,), latency=CALLS)
    known = metrics.values(Measured(found, 20.0, latency=found.latency))
    assert metrics.objective("latency_p99_ms", found, known) == 40.0
    assert metrics.objective("throughput", found, known) == 20.0
    assert metrics.objective("served_rate", found, known) is None


def test_the_rate_alone_decides_throughput_and_cost() -> None:
    decided = [name for name in METRICS if metrics.rate_decides(Goal(objectives=(name,)))]
    assert decided == ["throughput", "cost_per_million"]
    assert not metrics.rate_decides(Goal(objectives=("throughput", "peak_rss_bytes")))
