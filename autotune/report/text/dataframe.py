"""All trials of a study as a table: one row a trial, columns named as settings and metrics are everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autotune.analysis import metrics
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import METRICS
from autotune.core.estimate import Estimate
from autotune.core.results import Status, TrialResult
from autotune.core.struct import Value
from autotune.report.text import settings
from autotune.report.text.study_reader import Study
from autotune.study import evidence
from autotune.study.storage import latency_files

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Value | None]
HEAD = ("trial", "status", "feasible", "baseline", "rank", "front")
RATES = ("throughput", "throughput_low", "throughput_high", "speedup", "speedup_low", "speedup_high", "evidence")
FIRST = ("batch_size", "layout", "backend")
TAIL = ("latency_calls", "error", "started", "wall_s", "folder")


def frame(study: Study) -> pd.DataFrame:
    """One row a trial.

    `throughput` is samples a second, `speedup` is over the baseline by the first objective. `evidence` is what they are
    from: `window`, the trial's own, with a 90 % interval; for the winner `confirmed`, `interleaved` or `search`.
    `feasible` trials were measured fully and keep the limits; `rank` is their place by the goal, 1 the best; with
    several objectives only the trials of the front have one. Other columns are the settings and the metrics by their
    names; what a trial does not have is empty.
    """
    import pandas as pd

    found = rows(study)
    return pd.DataFrame(found, columns=columns(found))


def columns(found: Sequence[Row]) -> list[str]:
    """The columns in their order: the settings and metrics that any row has between those that all have."""
    held = {name for row in found for name in row}
    shown = [name for name in METRICS if name in held and name not in RATES]
    fixed = {*HEAD, *RATES, *TAIL, *METRICS}
    known = sorted(
        held - fixed, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), "." in name, name)
    )
    return [*HEAD, *known, *RATES, *shown, *TAIL]


def rows(study: Study) -> list[Row]:
    """The trials in their order; what a trial does not have is not in its row."""
    ranks = {result.spec.id: place for place, result in enumerate(study.ranking.order(), 1)}
    front = set(ranks) if len(study.space.goal.objectives) > 1 else {key for key, rank in ranks.items() if rank == 1}
    base = study.baseline
    found = []
    for result in study.results:
        number = result.spec.id
        row: Row = {
            "trial": number,
            "status": str(result.status),
            "feasible": result.status is Status.OK and result.feasible,
            "baseline": result is base,
            "front": number in front,
            **settings.of_config(result.spec.config),
            "started": result.started,
            "wall_s": result.wall_s,
            "folder": result.spec.folder,
        }
        if number in ranks:
            row["rank"] = ranks[number]
        if result.error is not None:
            row["error"] = result.error
        if result.blocks:
            row |= _measured(study, result, base)
        found.append(row)
    return found


def _measured(study: Study, result: TrialResult, base: TrialResult | None) -> Row:
    found, calls = study.evidence, latency_files.summary(study.folder, result)
    wins = found is not None and found.trial == result.spec.id
    rate = found.rate if found is not None and wins else study.ranking.interval(result)
    known = metrics.values(Measured(result, rate.estimate, study.space.goal.price, calls))
    row: Row = {name: value for name, value in known.items() if name in METRICS and math.isfinite(value)}
    row |= _estimate("throughput", rate)
    ratio = (
        found.ratio
        if found is not None and wins
        else None
        if base is None
        else evidence.ratio(result, base, study.ranking, None)
    )
    if ratio is not None:
        row |= _estimate("speedup", ratio)
    row["evidence"] = found.level if found is not None and wins else "window"
    if calls is not None:
        row["latency_calls"] = calls.calls
    return row


def _estimate(name: str, found: Estimate) -> Row:
    parts = {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: value for key, value in parts.items() if value is not None}
