"""The figures of a configuration, by the names that they have everywhere, and how far they lie from limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.core.results import Block, Candidate, Fidelity, Latency, Percentile, TrialResult
from autotune.core.space_types import Goal, Limit, Price


@dataclass(frozen=True)
class Figure:
    """Which way it is better, what it is, and whether a search can be for it: answers can only be limited."""

    better: Literal["higher", "lower"]
    says: str
    objective: bool = True


FIGURES = {
    "throughput": Figure("higher", "samples a second"),
    "served_rate": Figure("higher", "requests a second that keep the latency of workload.serving"),
    "latency_p50_ms": Figure("lower", "milliseconds of a call that half of all calls do not exceed"),
    "latency_p90_ms": Figure("lower", "milliseconds that 90 % of all calls do not exceed"),
    "latency_p95_ms": Figure("lower", "milliseconds that 95 % of all calls do not exceed"),
    "latency_p99_ms": Figure("lower", "milliseconds that 99 % of all calls do not exceed"),
    "cpu_s_per_sample": Figure("lower", "seconds of CPU time a sample"),
    "cost_per_million": Figure("lower", "what a million samples cost, by the prices of the space file"),
    "energy_j_per_sample": Figure("lower", "joules of all CPU packages a sample, where RAPL can be read"),
    "peak_rss_bytes": Figure("lower", "the most memory that all workers held together"),
    "setup_s": Figure("lower", "seconds from the start of the workers to their first answers"),
    "artifact_bytes": Figure("lower", "the size of the prepared model"),
    "cosine_similarity": Figure("higher", "the least of all samples, against the float32 model", objective=False),
    "centred_error": Figure("lower", "error energy over the variation between inputs", objective=False),
    "max_abs_error": Figure("lower", "the largest error of any output", objective=False),
    "max_rel_error": Figure("lower", "the largest error over the largest value of its output", objective=False),
    "top1_agreement": Figure("higher", "the share of samples with the float32 model's class", objective=False),
    "accuracy": Figure("higher", "the metric of workload.data", objective=False),
    "accuracy_drop": Figure("lower", "the float32 model's metric less the configuration's", objective=False),
}
OF_ANSWERS = ("cosine_similarity", "centred_error", "max_abs_error", "max_rel_error", "top1_agreement")
OF_DATA = ("accuracy", "accuracy_drop")
OF_RATE = ("throughput", "cost_per_million")
"""Those that the rate alone decides: a trial that is clearly slower is clearly worse."""

OF_START = ("peak_rss_bytes", "setup_s", "artifact_bytes")
"""Those that a start of the workers has once, however long they are measured."""

LEAST = 1e-9
"""What a figure of 0 counts as in a ratio; a size of 0 (nothing prepared) counts as a byte."""

LATENCIES: dict[str, Percentile] = {
    "latency_p50_ms": "p50",
    "latency_p90_ms": "p90",
    "latency_p95_ms": "p95",
    "latency_p99_ms": "p99",
}


@dataclass(frozen=True)
class ConstraintCheck:
    """A limit, the figure by which it was judged (None: not to be had), and how far beyond the limit that is.

    A percentile that too few calls back is judged by the highest one that is backed, or by the median.
    """

    limit: Limit
    figure: str | None
    value: float | None

    @property
    def violation(self) -> float:
        """Beyond the limit where positive, inside it by so much where negative; as a part of the limit, unless it is 0.

        −inf where the figure is not to be had: what cannot be judged keeps its limit.
        """
        if self.value is None:
            return -math.inf
        found = [-math.inf]
        if self.limit.max is not None:
            found.append((self.value - self.limit.max) / (abs(self.limit.max) or 1.0))
        if self.limit.min is not None:
            found.append((self.limit.min - self.value) / (abs(self.limit.min) or 1.0))
        return math.inf if math.isnan(self.value) else max(found)

    @property
    def words(self) -> str:
        """`latency_p90_ms is 212, allowed at most 200 (latency_p99_ms)`."""
        low, high = self.limit.min, self.limit.max
        bounds = [*([] if low is None else [f"at least {low:g}"]), *([] if high is None else [f"at most {high:g}"])]
        asked = "" if self.figure in (None, self.limit.figure) else f" ({self.limit.figure})"
        got = "not to be had" if self.value is None else f"{self.value:.4g}"
        return f"{self.figure or self.limit.figure} is {got}, allowed {' and '.join(bounds)}{asked}"

    @property
    def kept(self) -> bool:
        """Whether the limit is."""
        return self.violation <= 0


def of(
    result: TrialResult | Candidate, rate: float, price: Price | None, calls: Latency | None = None
) -> dict[str, float]:
    """The figures that a measured configuration has; of latencies only those that the calls back.

    `rate` is its throughput (samples a second).
    """
    found = {"throughput": rate, **_of_blocks(result.blocks), **_of_answers(result.fidelity)}
    if price is not None:
        found["cost_per_million"] = price.per_million(rate)
    if calls is not None:
        found |= of_calls(calls)
    if result.peak_rss_bytes is not None:
        found["peak_rss_bytes"] = result.peak_rss_bytes
    if result.setup_s is not None:
        found["setup_s"] = result.setup_s
    found["artifact_bytes"] = 0 if result.artifact is None else result.artifact.bytes
    if result.accuracy is not None:
        found |= {"accuracy": result.accuracy.value, "accuracy_drop": result.accuracy.drop.estimate}
    if isinstance(result, TrialResult) and result.served is not None:
        found["served_rate"] = result.served.rate
    return found


def judged(limits: Sequence[Limit], figures: Mapping[str, float]) -> tuple[ConstraintCheck, ...]:
    """Every limit with the figure that it is judged by."""
    return tuple(_judged(limit, figures) for limit in limits)


def _judged(limit: Limit, figures: Mapping[str, float]) -> ConstraintCheck:
    if limit.figure in figures or limit.figure not in LATENCIES:
        return ConstraintCheck(limit, limit.figure if limit.figure in figures else None, figures.get(limit.figure))
    names = list(LATENCIES)
    lower = names[: names.index(limit.figure)]
    found = next((name for name in reversed(lower) if name in figures), "latency_median_ms")
    return ConstraintCheck(limit, found, figures.get(found))


def objective(name: str, result: TrialResult, figures: Mapping[str, float]) -> float | None:
    """What a trial has of an objective; a percentile as it was seen, however few calls there were."""
    if name in LATENCIES and result.latency is not None:
        return seen_ms(result.latency, LATENCIES[name])
    return figures.get(name)


def score(name: str, value: float) -> float:
    """A figure as a logarithm of which more is better, so that differences are ratios."""
    found = math.log(max(value, 1.0 if name.endswith("_bytes") else LEAST))
    return found if FIGURES[name].better == "higher" else -found


def seen_ms(latency: Latency, name: Percentile) -> float:
    """A percentile as it was seen."""
    return float(getattr(latency, f"{name}_ms"))


def by_rate(goal: Goal) -> bool:
    """Whether one objective is wanted, and the rate alone decides it."""
    return len(goal.objectives) == 1 and goal.objectives[0] in OF_RATE


def _of_blocks(blocks: Sequence[Block]) -> dict[str, float]:
    items = math.fsum(block.items for block in blocks)
    found = {"cpu_s_per_sample": sum(block.cpu_ns for block in blocks) / 1e9 / items}
    joules = [block.interference.energy_j for block in blocks if block.interference is not None]
    known = [energy for energy in joules if energy is not None]
    if len(known) == len(blocks):
        found["energy_j_per_sample"] = math.fsum(known) / items
    return found


def of_calls(latency: Latency) -> dict[str, float]:
    """The percentiles that the calls back, by name, and `latency_median_ms`, which needs no backing."""
    found = {"latency_median_ms": latency.p50_ms}
    for figure, name in LATENCIES.items():
        if latency.backed is None:
            break
        found[figure] = seen_ms(latency, name)
        if name == latency.backed:
            break
    return found


def _of_answers(fidelity: Fidelity | None) -> dict[str, float]:
    if fidelity is None or not fidelity.judged:
        return {}
    return {name: value for name in OF_ANSWERS if (value := getattr(fidelity, name)) is not None}
