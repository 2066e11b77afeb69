"""Studies of several machines, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune.core.confirmation import Confirmation
from autotune.core.results import Latency, TrialResult
from autotune.core.space_types import Space
from autotune.report.text import study_reader
from autotune.report.text.study_reader import Study
from autotune.study.storage import store
from tests.report.folders import FAST, SPACE, keep
from tests.report.made import HW, result

CALLS = Latency(calls=500, p50_ms=20.0, p90_ms=30.0, p95_ms=35.0, p99_ms=40.0, backed="p99")


def study(
    folder: Path,
    results: Sequence[TrialResult],
    found: Confirmation | None = None,
    *,
    kind: str = "toy.large",
    space: Space = SPACE,
) -> Study:
    """A study on an instance type of which nothing else is special."""
    keep(folder, results, found, space)
    hw = msgspec.structs.replace(HW, instance_type=kind)
    (folder / "hardware.json").write_bytes(store.encode(hw))
    return study_reader.read(folder)


def timed(found: TrialResult, p50_ms: float, calls: int = 500) -> TrialResult:
    """The result with calls of such a median, of which a percentile is twice it."""
    backed = "p99" if calls >= 459 else "p50" if calls >= 7 else None
    rest = dict.fromkeys(("p90_ms", "p95_ms", "p99_ms"), 2 * p50_ms)
    return msgspec.structs.replace(found, latency=Latency(calls=calls, p50_ms=p50_ms, backed=backed, **rest))


def prices(folder: Path, **per_hour: float) -> Path:
    """A file of prices; `toy_large` stands for `toy.large`."""
    listed = ", ".join(f"{name.replace('_', '.')}: {price}" for name, price in per_hour.items())
    path = folder / "prices.yaml"
    path.write_text(f"currency: USD\nper_hour: {{{listed}}}\n")
    return path


RESULTS = (result(0, rates=(10, 10)), timed(result(1, FAST, rates=(40, 40), peak_rss_bytes=2**29), 20.0))
