"""The outcome of trials and of a search: results judged by the limits, configurations done, and how it all ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from autotune.core.config import Config
from autotune.core.results import Status, TrialResult
from autotune.core.struct import Struct
from autotune.study.ranking import Ranking
from autotune.study.storage import store

Reason = Literal["trials", "minutes", "exhausted", "settled", "stale", "paused"]


class Outcome(Struct):
    """The reason why a search ended; the study's distinct configurations over all its runs, and its wall time."""

    reason: Reason
    trials: int
    failed: int
    elapsed_s: float


def outcome(reason: Reason, results: Sequence[TrialResult], baseline: Config, elapsed_s: float) -> Outcome:
    """The outcome of a search with these results."""
    numbers = set(completed(results, baseline).values())
    failed = sum(not result.status.measured for result in results if result.spec.id in numbers)
    return Outcome(reason=reason, trials=len(numbers), failed=failed, elapsed_s=elapsed_s)


def completed(results: Iterable[TrialResult], baseline: Config) -> dict[str, int]:
    """The configurations that need no further trial, with the trial's number; the baseline only if it was measured."""
    final = (result for result in results if result.status.measured or result.spec.config != baseline)
    return {result.spec.config.key: result.spec.id for result in final if not cut_short(result)}


def cut_short(result: TrialResult) -> bool:
    """True if the trial is to be measured again."""
    return result.status is Status.INTERRUPTED


def judged(folder: Path, result: TrialResult, ranking: Ranking) -> TrialResult:
    """A result with `feasible`, which an executor cannot know: it depends on the goal and on the other trials' drift.

    On disk it is changed only where a limit is broken, once, before anyone is told the result.
    """
    final = ranking.settled(result)
    if final != result:
        store.write_result(folder, final)
    return final


def description(result: TrialResult) -> str:
    """The status of a failed trial with its error."""
    return f"{result.status.replace('_', ' ')}: {result.error}" if result.error else str(result.status)
