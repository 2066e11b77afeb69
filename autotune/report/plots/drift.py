"""How fast the machine itself was over the study, as the canary beside the trials saw it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autotune.report.reading import Study
from autotune.results import TrialResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def figure(study: Study) -> Figure | None:
    """A mark a trial for each of the canary's computations, in % of its usual speed; None where it sensed nothing."""
    from plotly import graph_objects as go

    centres = study.ranking.correction.centres
    seen = [(result, parts) for result in study.results if (parts := _parts(result, centres))]
    if not seen:
        return None
    dated = all(result.started for result, _ in seen)
    numbers = np.array([result.spec.id for result, _ in seen], dtype=np.int32)
    at = _hours([result for result, _ in seen]) if dated else numbers
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
        xaxis={"title": {"text": "hours since the first trial began" if dated else "trial"}},
        yaxis={"title": {"text": "% of its usual speed"}},
        legend={"orientation": "h", "y": -0.25},
        height=360,
    )
    return found


def _hours(results: Sequence[TrialResult]) -> NDArray[np.float32]:
    began = [datetime.fromisoformat(result.started).timestamp() for result in results]
    return np.array([(one - min(began)) / 3600 for one in began], dtype=np.float32)


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
