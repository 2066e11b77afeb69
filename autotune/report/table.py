"""The table of a study's trials, and the summary at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autotune import stats
from autotune.report import words
from autotune.results import Status, TrialResult
from autotune.rules import MeasureRules
from autotune.study import ranking
from autotune.types import Config


def counted(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The results that say something: a trial that was cut short is measured again as one of its own."""
    return [result for result in results if result.status is not Status.INTERRUPTED]


def trials(folder: Path, results: Sequence[TrialResult], baseline: Config) -> RenderableType:
    """All trials, fastest first, then those that failed with the reason; the configuration last, since it may wrap."""
    base = ranking.baseline(results, baseline)
    measured = sorted((r for r in results if r.blocks), key=ranking.rate, reverse=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trial", "rate", "vs baseline", "p50 ms", "memory", "set-up"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for result in measured:
        table.add_row(*_row(folder, result, base), style=None if result.status is Status.OK else "dim")
    failed = [r for r in results if not r.blocks]
    return Group(table, *_failures(failed)) if failed else table


def _row(folder: Path, result: TrialResult, base: TrialResult | None) -> list[str]:
    latency = median_latency_ms(folder, result)
    config = words.configuration(result.spec.config)
    return [
        str(result.spec.id),
        words.outcome(result),
        words.speedup(result, base),
        "" if latency is None else f"{latency:.1f}",
        "" if result.peak_rss_bytes is None else words.size(result.peak_rss_bytes),
        "" if result.setup_s is None else f"{result.setup_s:.1f} s",
        f"{config} (baseline)" if base is not None and result is base else config,
    ]


def _failures(failed: Sequence[TrialResult]) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(), Text(f"{len(failed)} failed:", style="bold")]
    for result in failed:
        status = result.status.replace("_", " ")
        lines.append(Text(f"{result.spec.id:>5}  {words.configuration(result.spec.config)}: {status}: {result.error}"))
    return lines


def summary(results: Sequence[TrialResult], baseline: Config) -> list[str]:
    """What a person wants at the end: the winner, how much faster, and what the figure is worth."""
    winner, base = ranking.best(results), ranking.baseline(results, baseline)
    if winner is None:
        return ["No configuration has been measured."]
    confidence = MeasureRules().confidence
    lines = [
        f"best      {words.configuration(winner.spec.config)}",
        f"rate      {words.rate(stats.interval(words.rates(winner), confidence))}",
    ]
    if base is not None:
        gain = stats.ratio(words.rates(winner), words.rates(base), confidence)
        base_rate = words.rate(stats.interval(words.rates(base), confidence))
        between = f" ({gain.low:.2f} to {gain.high:.2f})" if gain.low is not None and gain.high is not None else ""
        lines.append(f"speed-up  {gain.estimate:.2f}x{between} over the plain model's {base_rate}")
    lines.append("          from the search's own windows, not confirmed by a second measurement")
    lines.append(fidelity(winner))
    failures = sum(not result.blocks for result in results)
    slow = sum(result.status is Status.REJECTED for result in results)
    lines.append(f"trials    {len(results)}: {slow} given up as clearly slower, {failures} failed")
    return lines


def fidelity(result: TrialResult) -> str:
    """One line on the answers of a configuration."""
    found = result.fidelity
    if found is None:
        return "answers   not compared"
    error = "" if found.centred_error is None else f", error {found.centred_error:.2g} of the variation between inputs"
    if not found.judged:
        return "answers   unjudged: with random weights outputs hardly depend on the input"
    return f"answers   cosine similarity {found.cosine_similarity:.5f} to the float32 model{error}"


def median_latency_ms(folder: Path, result: TrialResult) -> float | None:
    """The median call over the measured blocks of all workers; None where no latencies were kept."""
    path = folder / result.spec.folder / "latencies.npy"
    if not result.blocks or not path.exists():
        return None
    rows = np.load(path, allow_pickle=False)
    rows = rows[rows[:, 1] >= len(result.warmup)]
    if not len(rows):
        return None
    order = np.argsort(rows[:, 2])
    reached = np.cumsum(rows[order, 3])
    return float(rows[order[np.searchsorted(reached, reached[-1] / 2)], 2]) / 1e6
