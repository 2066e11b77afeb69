"""The confirmation stage: the winner of the search and its claim, within the confirmation's part of the budget."""

from __future__ import annotations

import time
from collections.abc import Callable

from autotune.core.confirmation import Confirmation
from autotune.core.executor import Executor, HookedExecutor
from autotune.core.observer import Observer
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.space import configs
from autotune.study.confirm import claim, cost
from autotune.study.confirm import context as contexts
from autotune.study.confirm.context import Context
from autotune.study.confirm.interleaved_confirmation import InterleavedConfirmation
from autotune.study.confirm.serving_confirmation import ServingConfirmation
from autotune.study.ranking import Ranking
from autotune.study.storage import disk_errors, store
from autotune.study.storage.opening import OpenStudy
from autotune.study.storage.stopwatch import stopwatch


def confirm(
    study: OpenStudy,
    executor: Executor,
    observer: Observer,
    rules: MeasureRules,
    confirm_rules: ConfirmRules,
    *,
    first: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Confirmation | None:
    """Confirm the winner of the search, going on where an earlier run was interrupted.

    None if there is nothing to confirm (the baseline or any other trial is missing). The result is also written to the
    study's `confirmation.json`; an earlier gain stays there, and is returned, if nothing new could be claimed and
    nothing speaks against it.
    """
    space = study.space
    with disk_errors.reported(study.folder):
        ranking = Ranking(store.results(study.folder), space.goal)
        others = any(result.spec.config != space.baseline for result in ranking.order())
        if not others or ranking.baseline(space.baseline) is None:
            return None
        earlier = store.confirmation(study.folder)
        if earlier is not None and earlier.confirmed and earlier.finished:
            return earlier
        with stopwatch(study, clock) as elapsed:
            predicted_s = cost.predicted(ranking, space, study.hardware, rules, confirm_rules) or 0.0
            left = contexts.time_left(space.budget, elapsed(), predicted_s, confirm_rules, clock)
            timed = HookedExecutor(executor, after=lambda: store.write_elapsed(study.folder, elapsed()))
            context = Context(study, timed, observer, ranking, rules, confirm_rules, left)
            if reason := configs.unavailable(space.baseline, study.hardware):
                found = claim.none(f"the baseline cannot run here any more: {reason}")
            elif space.goal.objectives == ("served_rate",):
                # Each rate takes a minute or longer: all that the search left is not too much.
                left.extend()
                found = ServingConfirmation(context).run()
            else:
                found = InterleavedConfirmation(context).first() if first else InterleavedConfirmation(context).run()
        if earlier is not None and claim.stands(earlier, found, space.baseline):
            observer.notice(f"the earlier claim stands: {found.reason}")
            found = earlier  # what is kept while it was measured may be something else by now
        store.write_confirmation(study.folder, found)
        return found
