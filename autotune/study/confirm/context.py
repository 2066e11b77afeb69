"""The context of a confirmation: the study, the machine, the rules and the time that there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from autotune.core.executor import Executor
from autotune.core.observer import Observer
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget
from autotune.study.ranking import Ranking
from autotune.study.storage.opening import OpenStudy

LEAST_S = 180.0
"""The least time of a confirmation where no minutes are given."""


@dataclass
class TimeLeft:
    """The seconds of a confirmation from its begin on: `seconds` of its own, `most_s` with all that the search left."""

    clock: Callable[[], float]
    seconds: float
    most_s: float
    begin: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin = self.clock()

    def elapsed(self) -> float:
        """The seconds since the begin."""
        return self.clock() - self.begin

    def __call__(self) -> float:
        """The seconds that are left, negative once they are used up."""
        return self.seconds - self.elapsed()

    def most(self) -> float:
        """The seconds that are left with all that the search left."""
        return self.most_s - self.elapsed()

    def keep(self, seconds: float) -> None:
        """Let what follows have at most so many."""
        self.seconds = min(self.seconds, self.elapsed() + seconds)

    def extend(self) -> None:
        """Let the confirmation have all that the search left."""
        self.seconds = self.most_s


@dataclass(frozen=True)
class Context:
    """All that a confirmation works with; `left` is the time that it has."""

    study: OpenStudy
    executor: Executor
    observer: Observer
    ranking: Ranking
    rules: MeasureRules
    confirm: ConfirmRules
    left: TimeLeft


def time_left(
    budget: Budget, elapsed_s: float, predicted_s: float, rules: ConfirmRules, clock: Callable[[], float]
) -> TimeLeft:
    """The time of a confirmation after so many seconds of search, if it is predicted to take so long.

    What is left of the minutes, at most the confirmation's share of them or what is predicted; without minutes what is
    predicted, or more in proportion to the search.
    """
    if budget.minutes is None:
        seconds = max(LEAST_S, predicted_s, elapsed_s * rules.share / (1 - rules.share))
        return TimeLeft(clock, seconds, seconds)
    whole_s = budget.minutes * 60
    return TimeLeft(clock, min(whole_s - elapsed_s, max(whole_s * rules.share, predicted_s)), whole_s - elapsed_s)
