"""Speed-up attributable to each setting of the winner, with the interval over the interleaved runs."""

from __future__ import annotations

import math
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING

from autotune.core.confirmation import Ablation
from autotune.report.text import explanation, formatting
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def figure(study: Study) -> Figure | None:
    """A bar a setting from 1 to its ratio, the band of the noise floor behind; None where nothing was measured."""
    from plotly import graph_objects as go

    confirmation = study.confirmation
    ablations = confirmation.ablations if confirmation else ()
    known = [(one, ratio) for one in ablations if (ratio := explanation.worth(one)) is not None]
    if confirmation is None or not known:
        return None
    known.sort(key=lambda one: -one[1].estimate)
    ratios = [ratio for _, ratio in known]
    # Bars on an axis of logarithms begin at 1 only as bars of logarithms.
    logs = [math.log2(ratio.estimate) for ratio in ratios]
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": logs,
        "y": [_named(one) for one, _ in known],
        "text": [formatting.times(ratio.estimate) + formatting.between(ratio) for ratio in ratios],
        "textposition": "none",
        "error_x": {
            "array": [math.log2(one.high or one.estimate) - log for one, log in zip(ratios, logs, strict=True)],
            "arrayminus": [log - math.log2(one.low or one.estimate) for one, log in zip(ratios, logs, strict=True)],
        },
        "hovertemplate": "%{y}<br>%{text}<extra></extra>",
    }
    found = go.Figure([bar])
    most = max(abs(math.log2(edge)) for one in ratios for edge in (one.estimate, one.low or 1, one.high or 1))
    ticks = range(-math.ceil(most), math.ceil(most) + 1)
    found.update_layout(
        xaxis={
            "title": {"text": "times as good with it"},
            "tickvals": list(ticks),
            "ticktext": [f"{2.0**tick:g}x" for tick in ticks],
        },
        yaxis={"autorange": "reversed", "automargin": True},
        height=140 + 34 * len(known),
    )
    if confirmation.noise_floor:
        edge = confirmation.noise_floor / math.log(2)
        found.add_vrect(x0=-edge, x1=edge, line_width=0, fillcolor="#8c9aab", opacity=0.3)
    return found


def _named(one: Ablation) -> str:
    """In two lines, so that a phone has room for the bars."""
    said = escape(shorten(formatting.change(one.setting, one.value, one.instead), 60), quote=False)
    return said.replace(" instead of ", "<br>instead of ", 1)
