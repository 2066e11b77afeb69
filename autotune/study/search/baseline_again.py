"""Whether the baseline is to be measured again: all figures are over it, so it must not be the victim of its moment."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import Status, TrialResult
from autotune.space import configs
from autotune.study.ranking import Ranking
from autotune.study.search.outcome import cut_short

DOUBTFUL = 0.1
"""A baseline of whose blocks a larger share was disturbed is measured again."""

FEWEST_BLOCKS = 2
"""So is one of fewer blocks."""


def wanted(results: Sequence[TrialResult], ranking: Ranking, baseline: Config, hw: Hardware) -> bool:
    """True if it was measured, once, by a trial that was disturbed or too short to tell."""
    tried = [one for one in results if one.spec.config == baseline and not cut_short(one)]
    measured = next((place for place, one in enumerate(tried, start=1) if one.status is Status.OK), 0)
    if not measured or measured < len(tried) or configs.unavailable(baseline, hw):
        return False
    return len(tried[-1].blocks) < FEWEST_BLOCKS or ranking.disturbed(tried[-1]) > DOUBTFUL
