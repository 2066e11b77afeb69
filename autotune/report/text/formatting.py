"""Configurations and metrics as text, the same in every table and display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metrics import METRICS
from autotune.analysis.number_format import rounded
from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.results import Probe, Status, TrialResult
from autotune.core.space_types import Goal, Limit, Price
from autotune.core.struct import Value
from autotune.space import configs, goal_section

if TYPE_CHECKING:
    from autotune.study.ranking import Ranking


def configuration(config: Config) -> str:
    """`openvino int8, batch 8, 2x1, tcmalloc`: what is left at its default is not named."""
    defaults = msgspec.structs.asdict(plugins.backend_options(config.backend, {}))
    options = [_setting(name, value, defaults.get(name)) for name, value in config.options.items()]
    knobs = [
        _setting(name, value, plugins.load("knobs", name).default(configs.NOWHERE))
        for name, value in sorted(config.knobs.items())
        if name != "layout"
    ]
    head = " ".join([config.backend, *filter(None, options)])
    return ", ".join([head, f"batch {config.workload.batch_size}", str(config.layout), *filter(None, knobs)])


def _setting(name: str, value: Value, default: Value | None) -> str:
    if name in ("precision", "memory_format"):
        return str(value)
    if value == default:
        return ""
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return str(value) if name == "allocator" else f"{name}={value}"


def rate(estimate: Estimate) -> str:
    """`96.4/s ±2.1 %`."""
    if estimate.low is None or estimate.high is None:
        return f"{rounded(estimate.estimate)}/s"
    half = (estimate.high - estimate.low) / 2 / estimate.estimate
    return f"{rounded(estimate.estimate)}/s ±{100 * half:.1f} %"


def speedup(ranking: Ranking, result: TrialResult, baseline: TrialResult | None) -> str:
    """`7.91x` over the baseline; empty without one."""
    if baseline is None or not result.blocks:
        return ""
    return times(ranking.ratio(result, baseline).estimate)


def times(ratio: float) -> str:
    """`7.91x`."""
    return f"{ratio:.2f}x"


def ratio(estimate: Estimate) -> str:
    """`3.66x (3.57 to 3.76)`."""
    return f"{times(estimate.estimate)}{between(estimate)}"


def outcome(ranking: Ranking, result: TrialResult) -> str:
    """The rate, or how the trial failed."""
    if not result.blocks:
        return result.status.replace("_", " ")
    text = rate(ranking.interval(result))
    if result.status is not Status.OK:
        return f"{text} (slow)"
    return text if result.feasible else f"{text} ({limits(ranking.checks(result))})"


def between(estimate: Estimate) -> str:
    """` (3.57 to 3.76)`; empty without an interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f" ({estimate.low:.2f} to {estimate.high:.2f})"


def signed(estimate: Estimate) -> str:
    """`+0.0031 (-0.0010 to +0.0072)`."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.estimate:+.4f}"
    return f"{estimate.estimate:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def gain(objective: str) -> tuple[str, str]:
    """The name of a ratio, and its preposition: (`speed-up`, `over`), (`gain`, `less latency_p99_ms than`)."""
    return ("speed-up", "over") if METRICS[objective].rate_only else ("gain", f"{more(objective)} than")


def more(objective: str) -> str:
    """Which way an objective is better: `more throughput`, `less latency_p99_ms`."""
    return f"{'more' if METRICS[objective].better == 'higher' else 'less'} {objective}"


def ahead(objectives: Sequence[str], be: str, have: str) -> str:
    """The words for a better configuration, with these verbs: `was faster`, `had less latency_p99_ms`."""
    if len(objectives) > 1:
        return f"{be} better in any objective"
    return f"{be} faster" if METRICS[objectives[0]].rate_only else f"{have} {more(objectives[0])}"


def sustained(probe: Probe) -> str:
    """`84.0 requests a second for 60 s, latency 91.2 ms from arrival, 4 of 5040 over the limit`."""
    return (
        f"{rounded(probe.rate)} requests a second for {probe.seconds:.0f} s, latency {rounded(probe.latency_ms)} ms "
        f"from arrival, {probe.over} of {probe.requests} over the limit"
    )


def latency(percentile: tuple[str, float] | None) -> str:
    """`p50 180.3 ms`; empty where no percentile is backed."""
    return "" if percentile is None else f"{percentile[0]} {rounded(percentile[1])} ms"


def metric(name: str, value: float, price: Price | None = None) -> str:
    """A metric's value with its unit: `212 ms`, `1.4 GiB`, `0.52 USD`."""
    about = METRICS[name]
    currency = price.currency if price is not None and about.needs == "price" else ""
    return f"{about.show(value)} {currency}".rstrip()


def objectives(ranking: Ranking, result: TrialResult) -> str:
    """The objectives beside the rate, of a measured trial: `  latency_p99_ms 212 ms`."""
    values, goal = ranking.values(result), ranking.goal
    named = [] if values is None else zip(goal.objectives, values, strict=True)
    return "".join(f"  {name} {metric(name, value, goal.price)}" for name, value in named if name != "throughput")


def limits(checks: Sequence[ConstraintCheck]) -> str:
    """The limit that is nearest, with the distance to it, or the one that is broken the most."""
    refused = [one.limit.metric for one in checks if one.value is None and not one.satisfied]
    known = [one for one in checks if one.value is not None]
    if refused or not known:
        return f"{refused[0]} unjudged" if refused else "unjudged" if checks else ""
    worst = max(known, key=lambda one: one.violation)
    if worst.growth is not None and not worst.satisfied:
        return f"{worst.metric} grows"
    return f"{worst.metric} {100 * abs(worst.violation):.0f} % {'inside' if worst.satisfied else 'beyond'}"


def violated(check: ConstraintCheck) -> str:
    """`setup_s is 12, allowed at most 10: 20 % beyond`; else why it is refused."""
    if check.value is None or check.growth is not None:
        return check.description
    return f"{check.description}: {100 * check.violation:.0f} % beyond"


def bounds(limit: Limit) -> str:
    """`latency_p99_ms at most 250`."""
    return f"{limit.metric} {limit.bounds}"


def wanted(goal: Goal) -> tuple[tuple[str, str], ...]:
    """The goal in words: (`objective`, `throughput`), (`limits`, `latency_p99_ms at most 250`)."""
    own = goal_section.written(goal.limits)
    usual = ["the usual ones on answers"] if len(own) < len(goal.limits) else []
    return (
        ("objective", ", ".join(goal.objectives)),
        ("limits", "; ".join([*map(bounds, own), *usual]) or "none"),
    )


def change(setting: str, value: Value, instead: Value) -> str:
    """`allocator tcmalloc instead of system`."""
    return f"{setting} {literal(value)} instead of {literal(instead)}"


def literal(value: Value) -> str:
    """A value as a space file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """`45 s`, `4 min 05 s`, `2 h 03 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def number(count: float, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count:g} {what}{'' if count == 1 else 's'}"
