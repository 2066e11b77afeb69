from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import msgspec
import pytest

from autotune.analysis import metrics
from autotune.analysis.metric import Measured, Metric, Need
from autotune.analysis.metrics import METRICS
from autotune.core.answers import Accuracy, Fidelity
from autotune.core.estimate import Estimate
from autotune.core.results import ArtifactRef, Block, Interference, Latency, Served, Sustained
from autotune.core.space_types import Goal, Price
from tests.report.made import result

CALLS = Latency(calls=100, p50_ms=10.0, p90_ms=20.0, p95_ms=30.0, p99_ms=40.0, backed="p95")
CLOSE = Fidelity(
    judged=True, samples=8, cosine_similarity=0.99, centred_error=0.01, max_abs_error=0.5, top1_agreement=1
)

ERRORS = {"centred_error", "worst_channel_error", "worst_sample_error"}
AGREEMENTS = {"top1_agreement", "order_agreement", "agreement"}
BYTES = {"peak_rss_bytes", "artifact_bytes"}
LATENCIES = {"latency_p50_ms": "p50", "latency_p90_ms": "p90", "latency_p95_ms": "p95", "latency_p99_ms": "p99"}

# ------------------------------------------------------------------------------------------------------ registry


def of_kind(kind: Callable[[Metric], bool]) -> set[str]:
    return {name for name, metric in METRICS.items() if kind(metric)}


def test_more_is_better_of_rates_and_agreement_alone() -> None:
    more = {"throughput", "served_rate", "cosine_similarity", "accuracy", "neighbours_kept", *AGREEMENTS}
    assert of_kind(lambda metric: metric.better == "higher") == more
    assert of_kind(lambda metric: metric.better == "lower") == set(METRICS) - more


def test_what_a_metric_needs() -> None:
    needs = {need: of_kind(lambda metric, need=need: metric.needs == need) for need in get_args(Need)}
    assert needs == {
        "outputs": {"cosine_similarity", "max_abs_error", "max_rel_error", "neighbours_kept", *ERRORS, *AGREEMENTS},
        "data": {"accuracy", "accuracy_drop"},
        "serving": {"served_rate"},
        "price": {"cost_per_million"},
        "energy": {"energy_j_per_sample"},
    }
    assert of_kind(lambda metric: not metric.objective) == needs["outputs"] | needs["data"]


def test_what_is_measured_once_a_start() -> None:
    assert of_kind(lambda metric: metric.per_start) == BYTES | {"setup_s"}
    assert of_kind(lambda metric: metric.smallest == 1.0) == BYTES


def test_the_columns_of_the_trial_table() -> None:
    always = {"throughput", "peak_rss_bytes", "setup_s", *LATENCIES}
    assert of_kind(lambda metric: metric.column == "always") == always
    assert of_kind(lambda metric: metric.column == "needed") == {"cost_per_million", "accuracy"}


def test_the_bounds_of_a_metric() -> None:
    limited = {name: metric.bounds for name, metric in METRICS.items() if metric.bounds != (0.0, math.inf)}
    assert limited == {
        "cosine_similarity": (-1.0, 1.0),
        "order_agreement": (-1.0, 1.0),
        **dict.fromkeys(("top1_agreement", "agreement", "neighbours_kept", "accuracy"), (0.0, 1.0)),
        "accuracy_drop": (-1.0, 1.0),
    }


def test_the_metrics_that_are_a_percentile() -> None:
    assert metrics.LATENCIES == LATENCIES


def test_every_metric_is_described() -> None:
    assert all(metric.description and metric.unmeasured for metric in METRICS.values())
    assert len({metric.description for metric in METRICS.values()}) == len(METRICS)


def test_a_value_is_shown_with_its_unit() -> None:
    shown = {name: metric.show(96.4449) for name, metric in METRICS.items()}
    assert shown == {
        **dict.fromkeys(METRICS, "96.44"),
        **dict.fromkeys(LATENCIES, "96.4 ms"),
        **dict.fromkeys(BYTES, "0 KiB"),
        "throughput": "96.4/s",
        "served_rate": "96.4/s",
        "cost_per_million": "96.4",
        "energy_j_per_sample": "96.4 J",
        "setup_s": "96.4 s",
    }
    assert {metric.unit for metric in METRICS.values()} == {
        *("samples/s", "requests/s", "ms", "s", "currency of the price", "J", "bytes", "")
    }


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
    for unknown in (None, Interference()):
        found = result(1, rates=(1,), blocks=(known, msgspec.structs.replace(known, interference=unknown)))
        assert "energy_j_per_sample" not in metrics.values(Measured(found, 1.0))


def test_a_load_test_has_no_throughput_to_be_paid_for() -> None:
    assert "cost_per_million" not in metrics.values(Measured(Sustained(), price=Price(per_hour=0.36)))


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
    assert metrics.objective("latency_p99_ms", result(1, rates=(20,)), known) is None


def test_the_rate_alone_decides_throughput_and_cost() -> None:
    decided = [name for name in METRICS if metrics.rate_decides(Goal(objectives=(name,)))]
    assert decided == ["throughput", "cost_per_million"]
    assert not metrics.rate_decides(Goal(objectives=("throughput", "peak_rss_bytes")))
