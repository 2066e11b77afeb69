"""Failures by setting: what the trials that failed have in common."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from autotune.core.struct import Value
from autotune.report.text import formatting, settings
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST = 12
"""So many values are shown, those with the largest share of failures."""

Named = tuple[str, Value]


def figure(study: Study) -> Figure | None:
    """The share of trials that failed for each value of a setting that varies, by status; None without failures."""
    from plotly import graph_objects as go

    tried: Counter[Named] = Counter()
    failed: dict[str, Counter[Named]] = {}
    for result in study.results:
        values = settings.of_config(result.spec.config).items()
        tried.update(values)
        if not result.blocks:
            failed.setdefault(result.status.replace("_", " "), Counter()).update(values)
    total = sum(failed.values(), Counter[Named]())
    varying = Counter(name for name, _ in tried)
    shown = sorted(
        (one for one in total if varying[one[0]] > 1), key=lambda one: (-total[one] / tried[one], -total[one])
    )
    shown = shown[:MOST]
    if not shown:
        return None
    labels = [
        f"{escape(f'{name} {formatting.literal(value)}', quote=False)} ({total[name, value]} of {tried[name, value]})"
        for name, value in shown
    ]
    found = go.Figure()
    for status, counts in sorted(failed.items()):
        found.add_bar(
            y=labels,
            x=[100 * counts[one] / tried[one] for one in shown],
            orientation="h",
            name=status,
            hovertemplate="%{y}<br>" + status + " %{x:.0f} %<extra></extra>",
        )
    found.update_layout(
        barmode="stack",
        xaxis={"title": {"text": "% of the trials with this value"}, "range": [0, 100]},
        yaxis={"autorange": "reversed", "automargin": True, "dtick": 1},
        legend={"orientation": "h", "y": -0.2},
        showlegend=True,
        height=180 + 24 * len(shown),
    )
    return found
