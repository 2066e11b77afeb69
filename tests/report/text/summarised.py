"""Summaries of a study of two trials, of which the second one is four times as fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from autotune.core.confirmation import Confirmation, Winner
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.space_types import Space
from autotune.report.text import summary
from autotune.report.text.study_reader import Study
from autotune.study.ranking import Ranking
from tests.report.folders import FAST, SPACE
from tests.report.made import HW, PLAIN, config, estimate, result, winner

OTHER = config("openvino", 4, {"precision": "int8"})
RESULTS = (result(0, rates=(10, 10.1, 9.9)), result(1, FAST, rates=(40, 40.4, 39.6)))


def said(
    folder: Path,
    results: tuple[TrialResult, ...] = RESULTS,
    found: Confirmation | None = None,
    space: Space = SPACE,
    hw: Hardware = HW,
) -> list[str]:
    """The summary of a study with these results."""
    return summary.summary(Study(folder, space, hw, list(results), Ranking(results, space.goal), found))


def baseline_won(**fields: Any) -> Winner:
    """The baseline as the winner of a confirmation."""
    return winner(PLAIN, trial=0, throughput=estimate(10.0, 0.1), ratio=estimate(1.0, 0.0), **fields)


def asked(**fields: Any) -> Space:
    """The space with another goal."""
    return msgspec.structs.replace(SPACE, **fields)
