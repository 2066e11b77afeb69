"""The goal in a space file: `objective` and `constraints`, checked against the metrics that can be measured here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from autotune.analysis.metrics import LATENCIES, METRICS
from autotune.core import plugins
from autotune.core.errors import did_you_mean
from autotune.core.machine import Hardware
from autotune.core.space_types import Goal, Limit, Price
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import data
from autotune.space.values import one
from autotune.space.yaml_nodes import Node

ANSWERS = (
    Limit(metric="centred_error", max=0.05),
    Limit(metric="worst_channel_error", max=0.5),
    Limit(metric="worst_sample_error", max=1.0),
    Limit(metric="order_agreement", min=0.9),
    Limit(metric="agreement", min=0.85),
    Limit(metric="top1_agreement", min=0.85),
    Limit(metric="neighbours_kept", min=0.85),
)
"""The limits on answers, each where the space file does not set it itself."""

FORMER = Limit(metric="centred_error", max=0.1)
"""The only one of older studies, which nobody wrote either."""


def load(objective: Node, constraints: Node, price: Price | None, spec: WorkloadSpec, hw: Hardware) -> Goal:
    """The goal; SpaceError names file, line, metric and what is allowed, or why it cannot be measured."""
    objectives = _objectives(objective)
    for node, name in objectives:
        if not METRICS[name].objective:
            raise node.error(f"{name} cannot be an objective", "; write it under constraints")
        _check_measured(node, name, price, spec, hw)
    for node, name in objectives:
        if METRICS[name].needs == "serving" and len(objectives) > 1:
            raise node.error(f"{name} is an objective of its own", "; write it alone")
    limits = [_limit(node, name, spec) for name, node in constraints.section(tuple(METRICS), "metric").items()]
    for limit in limits:
        _check_measured(constraints.value[limit.metric], limit.metric, price, spec, hw)
    _check_together(limits, constraints)
    if not any(METRICS[name].needs == "serving" for _, name in objectives):
        for name in (limit.metric for limit in limits if METRICS[limit.metric].needs == "serving"):
            raise constraints.value[name].error(
                f"{name} is limited, and only confirmed where it is the objective", f"; write objective: {name}"
            )
    if _compared(spec):
        own = {limit.metric for limit in limits}
        limits += [limit for limit in ANSWERS if limit.metric not in own]
    return Goal(objectives=tuple(name for _, name in objectives), limits=tuple(limits), price=price)


def written(limits: Sequence[Limit]) -> list[Limit]:
    """The limits without those that nobody wrote."""
    return [limit for limit in limits if limit not in (*ANSWERS, FORMER)]


def _objectives(node: Node) -> list[tuple[Node, str]]:
    nodes = node.value if isinstance(node.value, tuple) else (node,) if node.value is not None else ()
    if isinstance(node.value, tuple) and not nodes:
        raise node.error("objective is an empty list", "; write one metric or several")
    objectives = [(one_of, str(one(one_of, str))) for one_of in nodes] or [(node, "throughput")]
    for position, (where, name) in enumerate(objectives):
        if name not in METRICS:
            allowed = [metric.name for metric in METRICS.values() if metric.objective]
            raise where.error(f"unknown objective {name!r}", did_you_mean(name, allowed))
        if name in [earlier for _, earlier in objectives[:position]]:
            raise where.error(f"objective has {name} twice", "; write each once")
    return objectives


def _limit(node: Node, name: str, spec: WorkloadSpec) -> Limit:
    if not isinstance(node.value, dict) or not node.value:
        raise node.error(f"{node.key} is {node.written}", "; write such as {max: 250} or {min: 0.99}")
    parts = node.section(("min", "max", "unjudged"))
    bounds = {key: float(one(part, float)) for key, part in parts.items() if key != "unjudged"}
    if not bounds:
        raise node.error(f"{node.key} has neither min nor max", "; write such as {min: 0.99, unjudged: reject}")
    if any(not math.isfinite(bound) for bound in bounds.values()):
        raise node.error(f"{node.key} is not a finite number", "; write one")
    unjudged = _unjudged(parts["unjudged"]) if "unjudged" in parts else "accept"
    limit = Limit(metric=name, unjudged=unjudged, **bounds)
    if limit.min is not None and limit.max is not None and limit.min > limit.max:
        raise node.error(f"{node.key} asks for at least {limit.min:g} and at most {limit.max:g}", "; nothing is both")
    own_metric = spec.labelled is not None and spec.labelled.metric not in data.METRICS
    metric = METRICS[name]
    least, most = (-math.inf, math.inf) if own_metric and metric.needs == "data" else metric.bounds
    if limit.max is not None and limit.max < least:
        raise node.error(f"{node.key} asks for at most {limit.max:g}", f"; it is never below {least:g}")
    if limit.min is not None and limit.min > most:
        raise node.error(f"{node.key} asks for at least {limit.min:g}", f"; it is never above {most:g}")
    return limit


def _unjudged(node: Node) -> Literal["accept", "reject"]:
    value = one(node, str)
    if value == "accept":
        return "accept"
    if value == "reject":
        return "reject"
    raise node.error(f"{node.key} is {node.written}", "; write accept or reject")


def _check_together(limits: Sequence[Limit], constraints: Node) -> None:
    """SpaceError where one percentile of latency would have to be above a higher one."""
    by_name = {limit.metric: limit for limit in limits}
    percentiles = [by_name[name] for name in LATENCIES if name in by_name]
    for lower, higher in itertools.combinations(percentiles, 2):
        if lower.min is not None and higher.max is not None and lower.min > higher.max:
            raise constraints.value[higher.metric].error(
                f"{higher.metric} is to be at most {higher.max:g} and {lower.metric} at least {lower.min:g}",
                "; a higher percentile is never the smaller one",
            )


def _check_measured(node: Node, name: str, price: Price | None, spec: WorkloadSpec, hw: Hardware) -> None:
    needs, reason = METRICS[name].needs, None
    if needs == "price" and price is None:
        reason = f"there is no price for {hw.instance_type}; list it in a file that `prices` names"
    elif needs == "energy" and not hw.energy:
        reason = "this machine's energy counters (RAPL) cannot be read"
    elif needs == "serving" and spec.serving is None:
        reason = "workload.serving, with the latency to keep, is not given"
    elif needs == "data" and spec.labelled is None:
        reason = "workload.data, with labels, is not given"
    elif needs == "outputs" and not _compared(spec):
        reason = "the answers of a command are not seen"
    if reason is not None:
        raise node.error(f"{name} is never measured here", f": {reason}")


def _compared(spec: WorkloadSpec) -> bool:
    """True if answers are compared with a reference's."""
    return bool(plugins.load("workloads", spec.provider).form != "command")
