"""Metric registry: `METRICS` by name, and the values that a measured configuration has of them.

A new metric is one entry here; search, tables, reports, `best.json` and the space file's schema follow from it.
"""

from __future__ import annotations

import math
from typing import get_args

from autotune.analysis import memory_growth
from autotune.analysis.metric import Measured, Metric
from autotune.analysis.number_format import rounded, size
from autotune.analysis.output_metrics import OUTPUTS
from autotune.core.results import Latency, Percentile, Sustained, TrialResult
from autotune.core.space_types import Goal

PERCENTILES: tuple[Percentile, ...] = get_args(Percentile)
MEDIAN = "latency_median_ms"
"""The median of however few calls: no metric, but the judge of a limited percentile that too few calls back."""

GROWTH = "rss_growth_bytes"
"""The bytes a call by which memory still grows: no metric, but with it no limit on the memory is kept."""


def percentile_ms(latency: Latency, name: Percentile) -> float:
    """The latency (ms) that such a share of the calls did not exceed, however few there were."""
    return float(getattr(latency, f"{name}_ms"))


def backed_ms(latency: Latency, name: Percentile) -> float | None:
    """The same where enough calls back it, else None."""
    if latency.backed is None or PERCENTILES.index(name) > PERCENTILES.index(latency.backed):
        return None
    return percentile_ms(latency, name)


# ------------------------------------------------------------------------------------------------------- readers


def _cost(measured: Measured) -> float | None:
    if measured.price is None or measured.rate is None:
        return None
    return measured.price.per_million(measured.rate)


def _served(measured: Measured) -> float | None:
    served = measured.result.served if isinstance(measured.result, TrialResult) else None
    return None if served is None else served.rate


def _cpu(measured: Measured) -> float | None:
    items = math.fsum(block.items for block in measured.blocks)
    return sum(block.cpu_ns for block in measured.blocks) / 1e9 / items if items else None


def _energy(measured: Measured) -> float | None:
    """None unless the counters were read during every block."""
    items = math.fsum(block.items for block in measured.blocks)
    joules = [block.interference.energy_j for block in measured.blocks if block.interference is not None]
    known = [energy for energy in joules if energy is not None]
    return math.fsum(known) / items if items and len(known) == len(measured.blocks) else None


def _artifact(measured: Measured) -> float | None:
    """0 where nothing had to be prepared."""
    if isinstance(measured.result, Sustained):
        return None
    return 0 if measured.result.artifact is None else measured.result.artifact.bytes


def _accuracy(measured: Measured) -> float | None:
    return None if measured.result.accuracy is None else measured.result.accuracy.value


def _drop(measured: Measured) -> float | None:
    return None if measured.result.accuracy is None else measured.result.accuracy.drop.estimate


def _milliseconds(value: float) -> str:
    return f"{rounded(value)} ms"


def _per_second(value: float) -> str:
    return f"{rounded(value)}/s"


def _latency(percentile: Percentile, description: str) -> Metric:
    return Metric(
        name=f"latency_{percentile}_ms",
        unit="ms",
        better="lower",
        description=description,
        read=lambda measured: None if measured.latency is None else backed_ms(measured.latency, percentile),
        show=_milliseconds,
        percentile=percentile,
        column="always",
    )


# ------------------------------------------------------------------------------------------------------ registry

_ENTRIES = (
    Metric(
        name="throughput",
        unit="samples/s",
        better="higher",
        description="samples a second",
        read=lambda measured: measured.rate,
        show=_per_second,
        rate_only=True,
        column="always",
    ),
    Metric(
        name="served_rate",
        unit="requests/s",
        better="higher",
        description="requests a second that keep the latency of workload.serving",
        read=_served,
        show=_per_second,
        needs="serving",
    ),
    _latency("p50", "milliseconds of a call that half of all calls do not exceed"),
    _latency("p90", "milliseconds that 90 % of all calls do not exceed"),
    _latency("p95", "milliseconds that 95 % of all calls do not exceed"),
    _latency("p99", "milliseconds that 99 % of all calls do not exceed"),
    Metric(
        name="cpu_s_per_sample",
        unit="s",
        better="lower",
        description="seconds of CPU time a sample",
        read=_cpu,
    ),
    Metric(
        name="cost_per_million",
        unit="currency of the price",
        better="lower",
        description="what a million samples cost, by the prices of the space file",
        read=_cost,
        show=rounded,
        rate_only=True,
        needs="price",
        column="needed",
    ),
    Metric(
        name="energy_j_per_sample",
        unit="J",
        better="lower",
        description="joules of all CPU packages a sample, where RAPL can be read",
        read=_energy,
        show=lambda value: f"{rounded(value)} J",
        needs="energy",
        unmeasured="the counters could not be read during every block",
    ),
    Metric(
        name="peak_rss_bytes",
        unit="bytes",
        better="lower",
        description="the most memory that all workers held together",
        read=lambda measured: measured.result.peak_rss_bytes,
        show=size,
        per_start=True,
        smallest=1.0,
        column="always",
    ),
    Metric(
        name="setup_s",
        unit="s",
        better="lower",
        description="seconds from the start of the workers to their first answers",
        read=lambda measured: measured.result.setup_s,
        show=lambda value: f"{rounded(value)} s",
        per_start=True,
        column="always",
        unmeasured="no trial started just this configuration",
    ),
    Metric(
        name="artifact_bytes",
        unit="bytes",
        better="lower",
        description="the size of the prepared model",
        read=_artifact,
        show=size,
        per_start=True,
        smallest=1.0,
    ),
    *OUTPUTS,
    Metric(
        name="accuracy",
        unit="",
        better="higher",
        description="the metric of workload.data",
        read=_accuracy,
        objective=False,
        needs="data",
        bounds=(0.0, 1.0),
        column="needed",
    ),
    Metric(
        name="accuracy_drop",
        unit="",
        better="lower",
        description="the float32 model's metric less the configuration's",
        read=_drop,
        objective=False,
        needs="data",
        bounds=(-1.0, 1.0),
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ENTRIES}
LATENCIES: dict[str, Percentile] = {
    metric.name: metric.percentile for metric in _ENTRIES if metric.percentile is not None
}

# -------------------------------------------------------------------------------------------------------- values


def values(measured: Measured) -> dict[str, float]:
    """The metrics that a measured configuration has by name, and `MEDIAN` and `GROWTH` where they are known."""
    known = {name: value for name, metric in METRICS.items() if (value := metric.read(measured)) is not None}
    if measured.latency is not None:
        known[MEDIAN] = measured.latency.p50_ms
    if (growth := memory_growth.per_call(measured.blocks)) is not None:
        known[GROWTH] = growth
    return known


def objective(name: str, result: TrialResult, known: dict[str, float]) -> float | None:
    """A trial's value of an objective, None if it has none; a percentile of however few calls."""
    percentile = METRICS[name].percentile
    if percentile is not None and result.latency is not None:
        return percentile_ms(result.latency, percentile)
    return known.get(name)


def rate_decides(goal: Goal) -> bool:
    """True if there is one objective, and the throughput alone decides it."""
    return len(goal.objectives) == 1 and METRICS[goal.objectives[0]].rate_only
