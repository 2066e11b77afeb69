"""Cost against latency over all configurations of several studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autotune.analysis import metrics
from autotune.analysis.metrics import LATENCIES
from autotune.core.config import Config
from autotune.core.results import Latency, Status
from autotune.report.compare.best_row import latency
from autotune.report.compare.comparison_types import Front, Point, Row
from autotune.report.text.study_reader import Study
from autotune.space import configs
from autotune.study import evidence
from autotune.study.ranking import undominated
from autotune.study.storage import latency_files


@dataclass(frozen=True)
class _Candidate:
    """A configuration with its cost and its latencies (ms) that are backed, by name."""

    study: str
    trial: int | None
    config: Config
    cost: float
    latencies: Mapping[str, float]
    confirmed: bool


def front(studies: Mapping[str, Study], rows: Sequence[Row]) -> Front | None:
    """The front over every trial that keeps the limits, and the best of each study by its strongest evidence.

    By the highest percentile that half of them back; None without prices in one currency, or without latencies.
    """
    if len(currencies(rows)) != 1:
        return None
    found = [one for row in rows for one in _candidates(row, studies[row.study])]
    backed = {name: [one for one in found if name in one.latencies] for name in LATENCIES}
    name = next((name for name in reversed(LATENCIES) if 2 * len(backed[name]) >= len(found)), next(iter(LATENCIES)))
    if not backed[name]:
        return None
    places = undominated([(-one.cost, -one.latencies[name]) for one in backed[name]])
    points = [
        Point(
            study=one.study,
            trial=one.trial,
            config=one.config,
            cost_per_million=one.cost,
            latency_ms=one.latencies[name],
            confirmed=one.confirmed,
        )
        for one in (backed[name][place] for place in places)
    ]
    return Front(
        latency=name,
        points=tuple(sorted(points, key=lambda point: point.cost_per_million)),
        candidates=len(found),
        left_out=len(found) - len(backed[name]),
    )


def currencies(rows: Sequence[Row]) -> set[str]:
    """Those of the prices."""
    return {row.price.currency for row in rows if row.price is not None}


def _candidates(row: Row, study: Study) -> list[_Candidate]:
    if row.price is None:
        return []
    found = []
    for result in study.results:
        if result.status is not Status.OK or not result.feasible:
            continue
        if configs.completed(result.spec.config) == row.config:
            continue
        cost = row.price.per_million(evidence.rate(result, study.ranking, study.posterior).estimate)
        backed = _backed(latency_files.summary(study.folder, result))
        found.append(_Candidate(row.study, result.spec.id, result.spec.config, cost, backed, confirmed=False))
    winner = study.evidence
    if winner is not None and row.config is not None and row.cost_per_million is not None:
        cost, backed = row.cost_per_million.estimate, _backed(latency(study, winner))
        found.append(_Candidate(row.study, winner.trial, row.config, cost, backed, confirmed=row.confirmed))
    return found


def _backed(latency: Latency | None) -> dict[str, float]:
    """The percentiles (ms) that enough calls back, by metric."""
    found = {} if latency is None else {name: metrics.backed_ms(latency, one) for name, one in LATENCIES.items()}
    return {name: value for name, value in found.items() if value is not None}
