"""Comparisons of three made-up configurations on the fake executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.study.confirm import paired_comparison
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.schedule import Keep
from tests.fake_executor import FakeExecutor
from tests.study.fakes import WORKLOAD, machine, plain

HW = machine()
RULES, CONFIRM = MeasureRules(), ConfirmRules(most_rounds=8)
CONFIGS = {"a": plain(HW), "b": plain(HW, 8), "c": plain(HW, 16)}
PAIR = {name: CONFIGS[name] for name in "ab"}
AMPLE_S = 1e6


def toy(folder: Path, **fields: Any) -> PairedComparison:
    given = {"name": "toy", "root": folder, "hardware": HW, "workload": WORKLOAD, "configs": CONFIGS, "rules": RULES}
    return PairedComparison(**given | {"confirm": CONFIRM} | fields)


def until(count: int) -> Keep:
    """All are measured in so many runs."""
    return lambda runs: set(CONFIGS) if len(runs) < count else set()


def run(
    found: PairedComparison,
    executor: FakeExecutor,
    keep: Keep,
    seconds: float = AMPLE_S,
    limit_s: float = AMPLE_S,
    together: bool = True,
) -> list[InterleavedRun]:
    return paired_comparison.compare(found, executor, keep, seconds, limit_s, together, executor.clock)
