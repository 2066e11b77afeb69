"""Failed trials by what made them fail: one cause often takes a hundred trials with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.core.results import Status, TrialResult

VARYING = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
"""Sizes, times and addresses, in which the same error differs from trial to trial."""


@dataclass(frozen=True)
class Cause:
    """Trials that failed in the same way; `example` is the first of them."""

    status: Status
    example: TrialResult
    trials: tuple[int, ...]

    @property
    def error(self) -> str:
        """The first one's error, on one line."""
        return " ".join((self.example.error or "").split())


def grouped(results: Sequence[TrialResult]) -> list[Cause]:
    """The causes of all failures, the most frequent first; errors are the same but for their numbers."""
    found: dict[tuple[Status, str], list[TrialResult]] = {}
    for result in results:
        if not result.blocks:
            words = VARYING.sub("#", " ".join((result.error or "").split()))
            found.setdefault((result.status, words), []).append(result)
    causes = [Cause(key[0], same[0], tuple(one.spec.id for one in same)) for key, same in found.items()]
    return sorted(causes, key=lambda cause: (-len(cause.trials), cause.trials))
