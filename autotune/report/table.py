"""The table of a study's trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autotune.report import latency, words
from autotune.results import Status, TrialResult
from autotune.study.ranking import Ranking
from autotune.types import Config


def counted(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The results that say something: a trial that was cut short is measured again as one of its own."""
    return [result for result in results if result.status is not Status.INTERRUPTED]


def trials(folder: Path, results: Sequence[TrialResult], baseline: Config) -> RenderableType:
    """All trials, fastest first, then those that failed with the reason; the configuration last, since it may wrap."""
    ranking = Ranking(results)
    base = ranking.baseline(baseline)
    measured = sorted((r for r in results if r.blocks), key=ranking.rate, reverse=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trial", "rate", "vs baseline", "latency", "memory", "set-up"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for result in measured:
        table.add_row(*_row(folder, result, base, ranking), style=None if result.status is Status.OK else "dim")
    failed = [r for r in results if not r.blocks]
    return Group(table, *_failures(failed)) if failed else table


def _row(folder: Path, result: TrialResult, base: TrialResult | None, ranking: Ranking) -> list[str]:
    calls = latency.of_trial(folder, result)
    config = words.configuration(result.spec.config)
    return [
        str(result.spec.id),
        words.outcome(ranking, result),
        words.speedup(ranking, result, base),
        words.latency(calls.highest_ms() if calls else None),
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
