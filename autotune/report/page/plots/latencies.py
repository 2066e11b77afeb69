"""Latency of the finalists' calls: the whole distribution, its tail as wide as its middle."""

from __future__ import annotations

import textwrap
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autotune.analysis.latency import Latencies
from autotune.core.config import Config
from autotune.core.results import InterleavedRun
from autotune.report.text import formatting
from autotune.report.text.study_reader import Study
from autotune.study.confirm import paired_comparison
from autotune.study.storage import latency_files, store

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

POINTS = 150
TICKS = {1.0: "all", 0.5: "p50", 0.1: "p90", 0.05: "p95", 0.01: "p99", 0.001: "p99.9"}
LINE = 44
BEST = 3
"""Without a confirmation the best trials stand for the finalists."""


def figure(study: Study) -> Figure | None:
    """A line a configuration: the share of calls (%, upwards) that take no longer than a latency; None without any."""
    from plotly import graph_objects as go

    found = go.Figure()
    least = 1.0
    for name, calls in _calls(study).items():
        beyond = np.geomspace(1.0, 0.5 / calls.calls, POINTS)
        places = np.searchsorted(calls.cumulative, (1.0 - beyond) * calls.calls)
        values = calls.values_ns[np.minimum(places, len(calls.values_ns) - 1)] / 1e6
        found.add_scatter(
            x=values.astype(np.float32),
            y=beyond.astype(np.float32),
            customdata=(100 * (1 - beyond)).astype(np.float32),
            mode="lines",
            line={"shape": "hv"},
            name=_wrapped(f"{name} ({calls.calls}\N{NO-BREAK SPACE}calls)"),
            hovertemplate="%{customdata:.2f} % of calls within %{x:.3~g} ms<extra></extra>",
        )
        least = min(least, 0.5 / calls.calls)
    if not found.data:
        return None
    found.update_layout(
        xaxis={"type": "log", "title": {"text": "milliseconds of a call"}},
        yaxis={
            "type": "log",
            "range": [0, np.log10(least)],
            "tickvals": list(TICKS),
            "ticktext": list(TICKS.values()),
        },
        legend={"orientation": "h", "y": -0.25},
        height=480,
    )
    return found


def _wrapped(name: str) -> str:
    """In lines that a phone has room for."""
    return "<br>".join(escape(line, quote=False) for line in textwrap.wrap(name, LINE))


def _calls(study: Study) -> dict[str, Latencies]:
    """The calls of the finalists over their runs, else of the best trials and the baseline, by what they are."""
    confirmation = study.confirmation
    if confirmation is not None and confirmation.finalists:
        folders = _candidates(study.folder)
        parts = [(one.config, latency_files.read(folders.get(one.config, []))) for one in confirmation.finalists]
    else:
        chosen = [*study.ranking.order()[:BEST], *([study.baseline] if study.baseline else [])]
        parts = [(one.spec.config, latency_files.of_trial(study.folder, one)) for one in chosen]
    return {_name(config, study): calls for config, calls in parts if calls is not None}


def _candidates(folder: Path) -> dict[Config, list[Path]]:
    """The folders of each configuration's calls in the finalists' runs."""
    found: dict[Config, list[Path]] = {}
    for path in sorted(folder.glob(f"{paired_comparison.FOLDER}/finalists-*/*/{paired_comparison.FILE}")):
        for name, candidate in store.decode(path, InterleavedRun).candidates.items():
            found.setdefault(candidate.config, []).append(path.parent / name)
    return found


def _name(config: Config, study: Study) -> str:
    said = formatting.configuration(config)
    return f"{said} (baseline)" if config == study.space.baseline else said
