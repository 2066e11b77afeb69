"""The stages of a study: the search, a first claim once little more is to be expected, the search's rest, the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import optuna

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.executor import Executor
from autotune.core.observer import Observer
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.study.confirm import cost, stage
from autotune.study.model.points import Points
from autotune.study.ranking import Ranking
from autotune.study.search import driver, samplers
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy


def run(
    study: OpenStudy,
    executor: Executor,
    observer: Observer,
    rules: MeasureRules,
    confirm_rules: ConfirmRules,
    *,
    earlier: Sequence[Config] = (),
    make_sampler: Callable[[int, Points], optuna.samplers.BaseSampler] = samplers.surrogate,
    claimed: Callable[[Winner], None] = lambda winner: None,
    searched: Callable[[Outcome], None] = lambda outcome: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Outcome, Confirmation | None]:
    """Search and confirm within the budget, going on from what the study already holds.

    A study without a claim pauses its search for one as soon as the sampler expects less than `first_gain` of its best
    proposals; the runs of that claim count in the last confirmation, too. `claimed` is called when it is there, before
    the search goes on, `searched` when the search has ended. None stands for a confirmation where there is nothing to
    confirm.
    """
    space, hw = study.space, study.hardware

    def reserve(ranking: Ranking) -> float:
        known = store.confirmation(study.folder)
        has_claim = known is not None and known.confirmed and known.gain
        predicted_s = cost.predicted(ranking, space, hw, rules, confirm_rules, claimed=has_claim)
        reserved_s = cost.reserved(space.budget, predicted_s, confirm_rules)
        observer.reserved(reserved_s, predicted_s)
        return reserved_s

    def search(pause_gain: float | None) -> Outcome:
        return driver.search(
            study,
            executor,
            observer,
            rules,
            earlier=earlier,
            reserve=reserve,
            pause_gain=pause_gain,
            make_sampler=make_sampler,
            clock=clock,
        )

    outcome = search(confirm_rules.first_gain if _first_wanted(study) else None)
    if outcome.reason == "paused":
        first = stage.confirm(study, executor, observer, rules, confirm_rules, first=True, clock=clock)
        if first is not None and first.gain and first.winner is not None:
            claimed(first.winner)
        outcome = search(None)
    searched(outcome)
    return outcome, stage.confirm(study, executor, observer, rules, confirm_rules, clock=clock)


def _first_wanted(study: OpenStudy) -> bool:
    """True of a study without a claim, unless its claim takes minutes of requests."""
    known = store.confirmation(study.folder)
    return (known is None or not known.confirmed) and study.space.goal.objectives != ("served_rate",)
