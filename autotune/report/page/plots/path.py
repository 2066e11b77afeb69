"""The way from the baseline to the winner, setting by setting."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from autotune.report.text import explanation, formatting
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def figure(study: Study) -> Figure | None:
    """The ratio over the baseline after each step; None where no path was measured."""
    from plotly import graph_objects as go

    known = [(step, total) for step, total in explanation.way(study) if total is not None]
    if not known:
        return None
    totals = [total for _, total in known]
    named = [
        ", ".join(f"{name} {formatting.literal(value)}" for name, value in step.settings.items()) for step, _ in known
    ]
    found = go.Figure()
    found.add_scatter(
        x=[1.0, *(total.estimate for total in totals)],
        y=["the baseline", *(f"+ {escape(name, quote=False)}" for name in named)],
        error_x={
            "array": [0.0, *((total.high or total.estimate) - total.estimate for total in totals)],
            "arrayminus": [0.0, *(total.estimate - (total.low or total.estimate) for total in totals)],
        },
        mode="lines+markers",
        text=["1.00x", *(formatting.times(total.estimate) + formatting.between(total) for total in totals)],
        hovertemplate="%{y}<br>%{text}<extra></extra>",
    )
    found.update_layout(
        xaxis={"title": {"text": "times as good"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "automargin": True},
        height=140 + 34 * len(known),
    )
    return found
