"""A study's row in a comparison: its best configuration, with what it costs on its machine."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from autotune.analysis import metrics
from autotune.core.confirmation import Winner
from autotune.core.estimate import Estimate
from autotune.core.results import Latency, TrialResult
from autotune.core.space_types import Price
from autotune.report.compare.comparison_types import Row
from autotune.report.text import headline
from autotune.report.text.study_reader import Study
from autotune.space import configs
from autotune.space import prices as price_files
from autotune.study.evidence import Evidence
from autotune.study.storage import latency_files


def best_row(name: str, study: Study, prices: Path | None) -> Row:
    """A study's best configuration by its strongest evidence; its price, or that of `prices`."""
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
    found = study.evidence
    if found is None:
        why = "nothing is measured yet" if study.ranking.nearest is None else "no configuration keeps the limits"
        return _noted(row, why)
    return _of_winner(row, study, found)


def _price(study: Study, prices: Path | None) -> tuple[Price | None, tuple[str, ...]]:
    """The price of a study's machine, and what to say where there is none."""
    kind = study.hardware.instance_type
    found = study.space.price if prices is None else price_files.find(prices, kind)
    if found is not None:
        return found, ()
    return None, (f"no price for {kind}" + ("; --prices FILE gives one" if prices is None else f" in {prices}"),)


def _of_winner(row: Row, study: Study, found: Evidence) -> Row:
    source, confirmation = found.source, study.confirmation
    values = study.ranking.known(source) if isinstance(source, TrialResult) else source.metrics
    known = {name: value for name, value in values.items() if name in metrics.METRICS}
    row = msgspec.structs.replace(
        row,
        confirmed=found.level == "confirmed",
        config=configs.completed(found.config),
        throughput=found.rate,
        ratio=found.ratio,
        peak_rss_bytes=source.peak_rss_bytes,
        metrics=known | {"throughput": found.rate.estimate},
    )
    row = _priced(_timed(row, latency(study, found)))
    if found.level != "confirmed":
        reason = "" if confirmation is None or confirmation.reason is None else f": {confirmation.reason}"
        row = _noted(row, f"{headline.basis(found)}{reason}")
    if isinstance(source, Winner) and source.sustained is not None:
        row = _noted(row, "confirmed is the rate of requests; throughput, cost and latency are the search's")
    if found.level == "confirmed" and confirmation is not None and not confirmation.gain:
        row = _noted(row, "no gain over the baseline is shown")
    return row if study.baseline is not None else _noted(row, "no baseline was measured")


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


def latency(study: Study, found: Evidence) -> Latency | None:
    """The latencies of a winner's calls: those of its interleaved runs, else of its trial."""
    if isinstance(found.source, Winner) and found.source.sustained is None:
        pooled = latency_files.read([study.folder / one for one in found.source.folders])
        return None if pooled is None else pooled.summary()
    trial = next((result for result in study.results if result.spec.id == found.trial), None)
    return None if trial is None else latency_files.summary(study.folder, trial)
