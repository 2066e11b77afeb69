from __future__ import annotations

from typing import Any

import pytest

from autotune.core.errors import SpaceError
from autotune.core.workload_spec import ServingSpec
from tests.space.test_workload_section import IMAGES, load

# --------------------------------------------------------------------------------------------------------- serving


def serving(value: Any, model: str = "torchvision:resnet18") -> Any:
    return load({"model": model, "inputs": IMAGES, "serving": value}).serving


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ({"latency_p99_ms": 100, "queue_delay_ms": 10}, ServingSpec(latency_ms=100.0, queue_delay_ms=10.0)),
        ({"latency_p50_ms": 0.5}, ServingSpec(latency_ms=0.5, percentile="p50")),
        ({"latency_p90_ms": 20, "queue_delay_ms": 0}, ServingSpec(latency_ms=20, percentile="p90")),
        (
            {"latency_p95_ms": 20, "queue_delay_ms": 19.9},
            ServingSpec(latency_ms=20, percentile="p95", queue_delay_ms=19.9),
        ),
    ],
)
def test_serving_keeps_one_latency(written: dict[str, float], spec: ServingSpec) -> None:
    assert serving(written) == spec


def test_without_serving_nothing_is_served() -> None:
    assert load({"model": "torchvision:resnet18", "inputs": IMAGES}).serving is None


@pytest.mark.parametrize(
    ("written", "error"),
    [
        (None, r"^workload.serving has no latency in s.yaml, line 3; write one of latency_p50_ms, .*, latency_p99_ms$"),
        ({"queue_delay_ms": 3}, "workload.serving has no latency in s.yaml, line 3; "),
        (
            {"latency_p50_ms": 5, "latency_p99_ms": 9},
            "workload.serving has latency_p50_ms and latency_p99_ms in s.yaml, line 3; write one of",
        ),
        ({"latency_p98_ms": 5}, "unknown key 'latency_p98_ms' in s.yaml, line 3; did you mean 'latency_p9"),
        ({"latency_p99_ms": 0}, "workload.serving.latency_p99_ms is 0 in s.yaml, line 3; write milliseconds above 0"),
        ({"latency_p99_ms": "fast"}, "workload.serving.latency_p99_ms is 'fast' in s.yaml, line 3; allowed: a number"),
        (
            {"latency_p99_ms": 5, "queue_delay_ms": -1},
            "workload.serving.queue_delay_ms is -1 in s.yaml, line 3; allowed: a number from 0",
        ),
        (
            {"latency_p99_ms": 5, "queue_delay_ms": 5},
            "workload.serving.queue_delay_ms is 5 in s.yaml, line 3; write less than latency_p99_ms, 5$",
        ),
        (100, "workload.serving is 100 in s.yaml, line 3; write its keys and values: latency_p50_ms"),
    ],
)
def test_serving_that_cannot_be_meant(written: Any, error: str) -> None:
    with pytest.raises(SpaceError, match=error):
        serving(written)


def test_a_command_serves_no_requests() -> None:
    section = {"model": "command:./bench {batch_size}", "serving": {"latency_p99_ms": 5}}
    with pytest.raises(SpaceError, match=r"^workload.serving beside a command in s.yaml, line 3; only a model"):
        load(section)
