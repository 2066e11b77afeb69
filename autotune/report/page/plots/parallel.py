"""Parallel coordinates: a line a trial through its settings to its rate.

Drawn with ordinary lines: plotly's own kind needs WebGL, which a printer and many a browser without a GPU lack.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autotune.core.results import TrialResult
from autotune.core.struct import Value
from autotune.report.text import formatting, settings
from autotune.report.text.dataframe import FIRST
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LINES = 1000
"""More lines than these are a grey area: the fastest are drawn, and every n-th of the others."""

AXES = 10
"""No page is wide enough for more."""

SHADES = (("fastest 5 %", 0.05, "#d62728"), ("next 20 %", 0.25, "#ff7f0e"), ("the others", 1.0, "#8c9aab"))
NONE = "none"
SPREAD = 0.05


def figure(study: Study) -> Figure | None:
    """The measured trials' lines, the fastest on top; None where fewer than two were measured or nothing varies."""
    from plotly import graph_objects as go

    ranked = sorted((one for one in study.results if one.blocks), key=study.ranking.rate, reverse=True)
    axes = _axes(ranked)
    if len(ranked) < 2 or not axes:
        return None
    places, drawn = _places(ranked, axes, study), _drawn(len(ranked))
    found = go.Figure()
    for (name, upto, colour), begin in reversed(list(zip(SHADES, (0.0, *(one[1] for one in SHADES)), strict=False))):
        chosen = [i for i in drawn if begin <= i / len(ranked) < upto]
        if chosen:
            found.add_trace(_lines(places[chosen], name, colour))
    found.add_trace(_ends(study, [ranked[i] for i in drawn], places[drawn, -1], len(axes)))
    found.update_layout(
        xaxis={"tickvals": list(range(len(axes) + 1)), "ticktext": [*map(escape, axes), "throughput"], "side": "top"},
        yaxis={"visible": False, "range": [-0.1, 1.1]},
        annotations=[*_labels(axes), *_rates(study, ranked, len(axes))],
        legend={"orientation": "h", "traceorder": "reversed"},
        margin={"t": 90, "r": 60, "b": 20, "l": 40},
        height=460,
    )
    found.update_xaxes(range=[-0.4, len(axes) + 0.5], zeroline=False)
    return found


Axes = dict[str, list[Value]]
Heights = NDArray[np.float32]


def _axes(results: Sequence[TrialResult]) -> Axes:
    """The settings that vary with their values in order; options of one name share an axis over the backends."""
    rows = [_merged(result) for result in results]
    seen: dict[str, set[Value]] = {}
    for row in rows:
        for name, value in row.items():
            seen.setdefault(name, set()).add(value)
    varying = {name: values for name, values in seen.items() if len(values) > 1}
    counts = {name: Counter(row.get(name, NONE) for row in rows) for name in varying}
    chosen = sorted(varying, key=lambda name: -_evenness(counts[name]))[:AXES]
    ordered = sorted(chosen, key=lambda name: (name not in FIRST, list(seen).index(name)))
    return {
        name: [*([NONE] if NONE in counts[name] else []), *sorted(varying[name] - {NONE}, key=_order)]
        for name in ordered
    }


def _evenness(counts: Counter[Value]) -> float:
    """The entropy of a setting's values: what nearly all trials have alike tells little."""
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


def _merged(result: TrialResult) -> dict[str, Value]:
    return {name.rpartition(".")[2]: value for name, value in settings.of_config(result.spec.config).items()}


def _order(value: Value) -> tuple[bool, float, str]:
    number = value if isinstance(value, int | float) else 0.0
    return isinstance(value, str), number, str(value)


def _places(ranked: Sequence[TrialResult], axes: Axes, study: Study) -> Heights:
    """Heights in [0, 1] by trial and axis, the rate's last; equal values are spread by rank, so that lines show."""
    logs = np.log([study.ranking.rate(result) for result in ranked])
    heights = np.empty((len(ranked), len(axes) + 1), dtype=np.float32)
    at = {name: {value: i / (len(values) - 1) for i, value in enumerate(values)} for name, values in axes.items()}
    for i, result in enumerate(ranked):
        row, off = _merged(result), SPREAD * (0.5 - i / len(ranked))
        heights[i, :-1] = [at[name][row.get(name, NONE)] + off for name in axes]
    heights[:, -1] = (logs - logs.min()) / ((logs.max() - logs.min()) or 1.0)
    return heights


def _drawn(count: int) -> list[int]:
    if count <= LINES:
        return list(range(count))
    half = LINES // 2
    return [*range(half), *range(half, count, math.ceil((count - half) / half))]


def _lines(places: Heights, name: str, colour: str) -> dict[str, object]:
    """One trace for many lines: a gap parts them."""
    gaps = np.full((len(places), 1), np.nan, dtype=np.float32)
    across = np.arange(places.shape[1] + 1, dtype=np.float32)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": np.tile(across, len(places)),
        "y": np.hstack([places, gaps]).ravel(),
        "name": name,
        "line": {"color": colour, "width": 1},
        "opacity": 0.6,
        "hoverinfo": "skip",
    }


def _ends(study: Study, results: Sequence[TrialResult], heights: Heights, place: int) -> dict[str, object]:
    """A mark at the end of each line, which says what trial it is."""
    said = [
        f"trial {result.spec.id}: {formatting.rate(study.ranking.interval(result))}<br>"
        f"{escape(formatting.configuration(result.spec.config), quote=False)}"
        for result in results
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.full(len(results), place, dtype=np.float32),
        "y": heights,
        "text": said,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 4, "color": "#8c9aab"},
        "showlegend": False,
    }


def _labels(axes: Axes) -> list[dict[str, object]]:
    return [
        _label(place, i / (len(values) - 1), formatting.literal(value))
        for place, values in enumerate(axes.values())
        for i, value in enumerate(values)
    ]


def _rates(study: Study, ranked: Sequence[TrialResult], place: int) -> list[dict[str, object]]:
    """The highest rate and the lowest."""
    ends = ((1.0, ranked[0]), (0.0, ranked[-1]))
    return [_label(place, at, formatting.metric("throughput", study.ranking.rate(result))) for at, result in ends]


def _label(place: int, at: float, text: str) -> dict[str, object]:
    return {
        "x": place,
        "y": at,
        "text": escape(text, quote=False),
        "showarrow": False,
        "xanchor": "left",
        "xshift": 4,
        "bgcolor": "rgba(127,127,127,0.25)",
        "font": {"size": 10},
    }
