"""A study's row in a comparison: its best configuration, with what it costs on its machine."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from autotune.analysis import metrics
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.results import Estimate, Latency, TrialResult
from autotune.core.space_types import Price
from autotune.report.compare import cross_machine
from autotune.report.compare.comparison_types import Row
from autotune.report.text.study_reader import Study
from autotune.space import configs
from autotune.space import prices as price_files
from autotune.study.storage import latency_files


def best_row(name: str, study: Study, prices: Path | None) -> Row:
    """A study's best configuration: the confirmed winner, else the search's best; its price, or that of `prices`."""
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
    calls = winner_latency(study, winner)
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
    return found if confirmation.gain else _noted(found, "no gain over the baseline is shown")


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


def winner_latency(study: Study, winner: Winner) -> Latency | None:
    """The latencies of a winner's calls: those of the confirmation, or of its trial where that served requests."""
    if winner.sustained is None:
        pooled = latency_files.read([study.folder / one for one in winner.folders])
        return None if pooled is None else pooled.summary()
    trial = next((result for result in study.results if result.spec.id == winner.trial), None)
    return None if trial is None else latency_files.summary(study.folder, trial)
