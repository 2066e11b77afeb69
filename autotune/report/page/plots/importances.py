"""Which settings decide between fast and ordinary trials: Optuna's PED-ANOVA, an approximation."""

from __future__ import annotations

import math
import warnings
from html import escape
from typing import TYPE_CHECKING

from autotune.core.struct import Value
from autotune.report.text import settings
from autotune.report.text.study_reader import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAST_TRIALS = 10
MOST = 1500
"""Of more trials every n-th in the order of their rates says the same, in a fraction of the time."""

TOP = 0.1
LEAST_TOP = 5
"""PED-ANOVA compares the trials at the top with all of them; with fewer at the top it says little."""


def figure(study: Study) -> Figure | None:
    """A bar a setting, the largest first, as shares of the whole; None with fewer than ten measured trials."""
    from plotly import graph_objects as go

    found = shares(study)
    if not found:
        return None
    names = [escape(name, quote=False) for name in found]
    bar = {"type": "bar", "orientation": "h", "x": [100 * share for share in found.values()], "y": names}
    layout = {
        "xaxis": {"title": {"text": "share of the importance, %"}},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "height": 140 + 26 * len(names),
    }
    return go.Figure([bar | {"hovertemplate": "%{y}: %{x:.0f} %<extra></extra>"}], layout)


def shares(study: Study) -> dict[str, float]:
    """The importance of each setting that varies, summing to 1, the largest first; options of a backend included.

    It says which settings set the fastest tenth apart by the first objective, in this study's own sample.
    """
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.importance import PedAnovaImportanceEvaluator

    held = [(settings.of_config(one.spec.config), study.ranking.scores(one)) for one in study.results if one.blocks]
    scored = [(row, scores[0]) for row, scores in held if scores is not None]
    if len(scored) < LEAST_TRIALS:
        return {}
    values: dict[str, dict[Value, None]] = {}
    for row, _ in scored:
        for name, value in row.items():
            values.setdefault(name, {})[value] = None
    choices = {name: CategoricalDistribution(tuple(seen)) for name, seen in values.items() if len(seen) > 1}
    if not choices:
        return {}
    scored.sort(key=lambda one: one[1])
    scored = scored[:: math.ceil(len(scored) / MOST)]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        # It warns of options that few trials have; that the whole is approximate is said beside the plot.
        warnings.simplefilter("ignore")
        sample = optuna.create_study(direction="maximize")
        for row, score in scored:
            asked = {name: value for name, value in row.items() if name in choices}
            distributions: dict[str, BaseDistribution] = {name: choices[name] for name in asked}
            sample.add_trial(optuna.create_trial(params=asked, distributions=distributions, value=score))
        top = min(0.5, max(TOP, LEAST_TOP / len(scored)))
        found = PedAnovaImportanceEvaluator(target_quantile=top).evaluate(sample)
    whole = sum(found.values())
    return {name: value / whole for name, value in found.items() if value > 0} if whole > 0 else {}
