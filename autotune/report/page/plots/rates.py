"""The rate of every trial with its interval, in the order in which they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from autotune.core.results import Status, TrialResult
from autotune.report.text import formatting
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GREY = "#8c9aab"


def figure(study: Study) -> Figure | None:
    """A mark a measured trial, coloured by its backend, hollow where it cannot win; None where nothing was measured.

    The stepped line is the highest rate so far of those that can.
    """
    from plotly import graph_objects as go

    measured = [result for result in study.results if result.blocks]
    if not measured:
        return None
    found = go.Figure()
    steps = _highest(study, measured)
    if len(steps) > 1:
        found.add_scatter(
            x=[number for number, _ in steps],
            y=[rate for _, rate in steps],
            mode="lines",
            line={"shape": "hv", "width": 1, "color": GREY},
            name="highest so far",
            hoverinfo="skip",
        )
    for backend in sorted({result.spec.config.backend for result in measured}):
        chosen = [result for result in measured if result.spec.config.backend == backend]
        found.add_scatter(**_marks(study, chosen), name=escape(backend))
    if study.baseline is not None:
        found.add_hline(y=study.ranking.rate(study.baseline), line={"width": 1, "dash": "dot", "color": GREY})
    found.update_layout(
        xaxis={"title": {"text": "trial"}},
        yaxis={"title": {"text": "samples a second"}, "rangemode": "tozero"},
        legend={"orientation": "h", "y": -0.25},
        height=420,
    )
    return found


def _marks(study: Study, chosen: Sequence[TrialResult]) -> dict[str, object]:
    rates = [study.ranking.interval(result) for result in chosen]
    wins = [result.status is Status.OK and result.feasible for result in chosen]
    return {
        "x": [result.spec.id for result in chosen],
        "y": np.array([rate.estimate for rate in rates], dtype=np.float32),
        "error_y": {
            "array": np.array([(rate.high or rate.estimate) - rate.estimate for rate in rates], dtype=np.float32),
            "arrayminus": np.array([rate.estimate - (rate.low or rate.estimate) for rate in rates], dtype=np.float32),
            "thickness": 1,
            "width": 0,
        },
        "mode": "markers",
        "marker": {"size": 6, "symbol": ["circle" if one else "circle-open" for one in wins]},
        "text": [escape(formatting.configuration(result.spec.config), quote=False) for result in chosen],
        "hovertemplate": "trial %{x}: %{y:.4g}/s<br>%{text}<extra></extra>",
    }


def _highest(study: Study, measured: Sequence[TrialResult]) -> list[tuple[int, float]]:
    """The trials at which the highest rate rose, with that rate, and the last trial."""
    steps: list[tuple[int, float]] = []
    for result in measured:
        if result.status is Status.OK and result.feasible:
            rate = study.ranking.rate(result)
            if not steps or rate > steps[-1][1]:
                steps.append((result.spec.id, rate))
    return [*steps, (measured[-1].spec.id, steps[-1][1])] if steps else []
