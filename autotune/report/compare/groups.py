"""Comparing studies: the best configuration of each, on its own machine, with what it costs there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune.analysis import metrics
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.errors import StudyError
from autotune.core.results import Estimate, Latency, TrialResult
from autotune.core.space_types import Price
from autotune.core.struct import digest
from autotune.report.compare import cross_machine, pareto_front
from autotune.report.compare.comparison_types import Comparison, Group, Row
from autotune.report.text.study_reader import Study
from autotune.space import configs, goal_section
from autotune.space import prices as price_files
from autotune.study.storage import latency_files


def compare(studies: Sequence[Study], prices: Path | None = None) -> Comparison:
    """The studies by the work and the goal that they share.

    `prices` is a file of prices for all of them, instead of each study's own. StudyError for fewer than two studies or
    one that is named twice, SpaceError for a file that is not one of prices.
    """
    _check(studies)
    named = dict(zip(_names(studies), studies, strict=True))
    rows = {name: _row(name, study, prices) for name, study in named.items()}
    groups: dict[str, list[str]] = {}
    for name, study in named.items():
        groups.setdefault(_question(study), []).append(name)
    return Comparison(
        groups=tuple(
            _group({name: named[name] for name in names}, [rows[name] for name in names]) for names in groups.values()
        )
    )


def _check(studies: Sequence[Study]) -> None:
    if len(studies) < 2:
        got = ", ".join(study.name for study in studies) or "none"
        raise StudyError(f"compare takes two studies or more; got {got}; name another, or use show for one")
    seen: set[Path] = set()
    for study in studies:
        folder = study.folder.resolve()
        if folder in seen:
            raise StudyError(f"the study {study.folder} is named twice; name each once")
        seen.add(folder)


def _names(studies: Sequence[Study]) -> list[str]:
    """The studies' names, or their paths where two names are equal; every letter printable."""
    names = [study.name for study in studies]
    shown = [
        name if names.count(name) == 1 else str(study.folder.resolve())
        for name, study in zip(names, studies, strict=True)
    ]
    return ["".join(letter if letter.isprintable() else "?" for letter in name) for name in shown]


def _question(study: Study) -> str:
    """Equal where the same work was searched for the same goal; neither seeds nor prices are part of it."""
    workload = msgspec.structs.replace(study.space.workload, seed=0)
    return digest([workload, study.space.goal.objectives, _limits(study)])


def _limits(study: Study) -> list[str]:
    asked = [limit for limit in study.space.constraints if limit != goal_section.ANSWERS]
    return sorted(digest(limit) for limit in asked)


def _group(studies: dict[str, Study], rows: list[Row]) -> Group:
    first = next(iter(studies.values())).space
    configs = {row.study: row.config for row in rows if row.config is not None}
    return Group(
        workload=first.workload,
        objective=first.goal.objectives,
        constraints=first.constraints,
        rows=tuple(sorted(rows, key=lambda row: (row.cost_per_million is None, _place(row)))),
        crossings=cross_machine.crossings(studies, configs),
        front=pareto_front.front(studies, rows),
        notes=_notes(rows),
    )


def _place(row: Row) -> float:
    if row.cost_per_million is not None:
        return row.cost_per_million.estimate
    return math.inf if row.throughput is None else -row.throughput.estimate


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    notes = []
    currencies = sorted(pareto_front.currencies(rows))
    if len(currencies) > 1:
        shown = " and ".join(name or "none named" for name in currencies)
        notes.append(f"the prices are in different currencies ({shown}): give all in one with --prices FILE")
    machines: dict[str, list[str]] = {}
    for row in rows:
        machines.setdefault(row.fingerprint, []).append(row.study)
    notes += [
        f"{' and '.join(names)} ran on the same type of machine, at different times"
        for names in machines.values()
        if len(names) > 1
    ]
    return tuple(notes)


# ---------------------------------------------------------------------------------------------------- a study's row


def _row(name: str, study: Study, prices: Path | None) -> Row:
    hw = study.hardware
    price, note = _price(study, prices)
    row = Row(
        study=name,
        instance_type=hw.instance_type,
        cpu_model=hw.cpu_model,
        cores=len(hw.cores),
        trials=len(study.results),
        fingerprint=hw.fingerprint,
        price=price,
        notes=note,
    )
    confirmation, best = study.confirmation, study.ranking.best
    if confirmation is not None and confirmation.winner is not None:
        return _confirmed(row, study, confirmation, confirmation.winner)
    if best is None:
        why = "nothing is measured yet" if study.ranking.nearest is None else "no configuration keeps the limits"
        return _noted(row, why)
    return _searched(row, study, best)


def _price(study: Study, prices: Path | None) -> tuple[Price | None, tuple[str, ...]]:
    """The price of a study's machine, and what to say where there is none."""
    kind = study.hardware.instance_type
    found = study.space.price if prices is None else price_files.find(prices, kind)
    if found is not None:
        return found, ()
    return None, (f"no price for {kind}" + ("; --prices FILE gives one" if prices is None else f" in {prices}"),)


def _confirmed(row: Row, study: Study, confirmation: Confirmation, winner: Winner) -> Row:
    calls = pareto_front.calls(study, winner)
    found = msgspec.structs.replace(
        row,
        confirmed=True,
        config=configs.completed(winner.config),
        throughput=winner.throughput,
        ratio=winner.ratio,
        peak_rss_bytes=winner.peak_rss_bytes,
        metrics=winner.metrics,
    )
    found = _priced(_timed(found, calls))
    if winner.sustained is not None:
        found = _noted(found, "confirmed is the rate of requests; throughput, cost and latency are the search's")
    return found if confirmation.gain else _noted(found, "no gain over the plain model is shown")


def _searched(row: Row, study: Study, best: TrialResult) -> Row:
    ranking, base = study.ranking, study.baseline
    found = msgspec.structs.replace(
        row,
        config=best.spec.config,
        throughput=ranking.interval(best),
        ratio=None if base is None else cross_machine.ratio(ranking, best, base),
        peak_rss_bytes=best.peak_rss_bytes,
        metrics={name: value for name, value in ranking.known(best).items() if name in metrics.METRICS},
    )
    reason = "" if study.confirmation is None else f": {study.confirmation.reason}"
    found = _noted(_priced(_timed(found, latency_files.summary(study.folder, best))), f"not confirmed{reason}")
    return found if base is not None else _noted(found, "no baseline was measured")


def _timed(row: Row, calls: Latency | None) -> Row:
    """With the highest percentile that the calls back."""
    if calls is None or calls.backed is None:
        return row
    return msgspec.structs.replace(
        row,
        latency_percentile=calls.backed,
        latency_ms=metrics.percentile_ms(calls, calls.backed),
        latency_calls=calls.calls,
    )


def _priced(row: Row) -> Row:
    """With the cost at this row's price; a study's metrics are at its own."""
    known = {name: value for name, value in row.metrics.items() if name != "cost_per_million"}
    rate, price = row.throughput, row.price
    if rate is None or price is None:
        return msgspec.structs.replace(row, metrics=known)

    def cost(samples: float | None) -> float | None:
        return None if samples is None else price.per_million(samples)

    found = Estimate(estimate=cost(rate.estimate) or math.inf, low=cost(rate.high), high=cost(rate.low))
    return msgspec.structs.replace(row, cost_per_million=found, metrics=known | {"cost_per_million": found.estimate})


def _noted(row: Row, note: str) -> Row:
    return msgspec.structs.replace(row, notes=(*row.notes, note))
