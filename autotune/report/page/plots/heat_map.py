"""Batch size × layout: the highest rate that any trial reached with both."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from autotune.core.config import Layout
from autotune.core.results import Status, TrialResult
from autotune.report.text import formatting
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Cell = tuple[int, Layout]


def figure(study: Study) -> Figure | None:
    """A cell for each batch size and layout, of trials that can win; None where fewer than two cells were measured."""
    from plotly import graph_objects as go

    best: dict[Cell, tuple[float, TrialResult]] = {}
    for result in study.results:
        if result.status is Status.OK and result.feasible:
            cell = result.spec.config.workload.batch_size, result.spec.config.layout
            rate = study.ranking.rate(result)
            if cell not in best or rate > best[cell][0]:
                best[cell] = rate, result
    if len(best) < 2:
        return None
    batches = sorted({batch for batch, _ in best})
    layouts = sorted({layout for _, layout in best}, key=lambda layout: (layout.workers, layout.threads))
    rows = [[best.get((batch, layout)) for layout in layouts] for batch in batches]
    found = go.Figure()
    found.add_heatmap(
        x=[str(layout) for layout in layouts],
        y=[str(batch) for batch in batches],
        z=[[None if one is None else one[0] for one in row] for row in rows],
        text=[["" if one is None else _said(one[1]) for one in row] for row in rows],
        texttemplate="%{z:.4g}",
        hovertemplate="%{text}: %{z:.4g}/s<extra></extra>",
        hoverongaps=False,
        zmin=0,
        colorscale="Blues",
        colorbar={"title": {"text": "samples a second"}},
    )
    # `2x1` and `8` are names here: as numbers they would be spread over an axis.
    found.update_layout(
        xaxis={"type": "category", "title": {"text": "layout (workers x threads)"}},
        yaxis={"type": "category", "title": {"text": "batch size"}},
        height=160 + 44 * len(batches),
    )
    return found


def _said(result: TrialResult) -> str:
    return f"trial {result.spec.id}, {escape(formatting.configuration(result.spec.config), quote=False)}"
