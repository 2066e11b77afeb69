"""Speed of the machine itself over the study, as the canary beside the trials measured it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autotune.core.results import TrialResult
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LONG_S = 7200
"""A study that went on for longer is told in hours."""


def figure(study: Study) -> Figure | None:
    """A mark a trial for each of the canary's computations, in % of its usual speed; None where it sensed nothing."""
    from plotly import graph_objects as go

    centres = study.ranking.correction.centres
    seen = [(result, parts) for result in study.results if (parts := _parts(result, centres))]
    if not seen:
        return None
    numbers = np.array([result.spec.id for result, _ in seen], dtype=np.int32)
    at, when = _since([result for result, _ in seen]) if all(one.started for one, _ in seen) else (numbers, "trial")
    found = go.Figure()
    for name in seen[0][1]:
        found.add_scatter(
            x=at,
            y=np.array([100 * parts[name] for _, parts in seen], dtype=np.float32),
            mode="markers",
            marker={"size": 4},
            name=name,
            customdata=numbers,
            hovertemplate="trial %{customdata}: %{y:.0f} %<extra>" + name + "</extra>",
        )
    found.add_hline(y=100, line={"width": 1, "dash": "dot", "color": "#8c9aab"})
    found.update_layout(
        xaxis={"title": {"text": when}},
        yaxis={"title": {"text": "% of its usual speed"}},
        legend={"orientation": "h", "y": -0.25},
        height=360,
    )
    return found


def _since(results: Sequence[TrialResult]) -> tuple[NDArray[np.float32], str]:
    """When trials began, in hours or, where these are few, in minutes; and the name of that."""
    began = [datetime.fromisoformat(result.started).timestamp() for result in results]
    seconds, unit = (3600, "hours") if max(began) - min(began) > LONG_S else (60, "minutes")
    at = np.array([(one - min(began)) / seconds for one in began], dtype=np.float32)
    return at, f"{unit} since the first trial began"


def _parts(result: TrialResult, centres: dict[int, dict[str, float]]) -> dict[str, float]:
    """The median over a trial's blocks of each computation's speed over its usual one on so many cores."""
    canaries = [block.canary for block in result.blocks if block.canary is not None]
    usual = centres.get(canaries[0].cores) if canaries else None
    if usual is None:
        return {}
    return {
        name: statistics.median(canary.parts[name] for canary in canaries) / math.exp(middle)
        for name, middle in usual.items()
    }
