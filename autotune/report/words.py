"""Configurations and figures in a person's words, the same in every table and display."""

from __future__ import annotations

from autotune import stats
from autotune.results import Estimate, Status, TrialResult
from autotune.rules import MeasureRules
from autotune.types import Config, Value


def configuration(config: Config) -> str:
    """`openvino int8, batch 8, 2x1, tcmalloc`: what is on by default or off is not named."""
    options = [_setting(name, value) for name, value in config.options.items()]
    knobs = [_setting(name, value) for name, value in sorted(config.knobs.items()) if name != "layout"]
    head = " ".join([config.backend, *filter(None, options)])
    parts = [head, f"batch {config.workload.batch_size}", str(config.layout), *filter(None, knobs)]
    return ", ".join(part for part in parts if part != "system")


def _setting(name: str, value: Value) -> str:
    if value is True:
        return name
    if value is False:
        return ""
    return value if isinstance(value, str) else f"{name}={value}"


def rates(result: TrialResult) -> list[float]:
    """The trial's raw block rates."""
    return [block.rate for block in result.blocks]


def rate(estimate: Estimate) -> str:
    """`96.4/s ±2.1 %`."""
    if estimate.low is None or estimate.high is None:
        return f"{_figure(estimate.estimate)}/s"
    half = (estimate.high - estimate.low) / 2 / estimate.estimate
    return f"{_figure(estimate.estimate)}/s ±{100 * half:.1f} %"


def speedup(result: TrialResult, baseline: TrialResult | None) -> str:
    """`7.91x` over the baseline; empty without one."""
    if baseline is None or not result.blocks:
        return ""
    return f"{stats.ratio(rates(result), rates(baseline), MeasureRules().confidence).estimate:.2f}x"


def outcome(result: TrialResult) -> str:
    """The rate, or how the trial failed."""
    if not result.blocks:
        return result.status.replace("_", " ")
    text = rate(stats.interval(rates(result), MeasureRules().confidence))
    return text if result.status is Status.OK else f"{text} (slow)"


def duration(seconds: float) -> str:
    """`45 s`, `4 min 05 s`, `2 h 03 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(count: int) -> str:
    """`12 KiB`, `812 MiB`, `1.4 GiB`."""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:#.3g}"
