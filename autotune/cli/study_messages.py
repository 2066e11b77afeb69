"""The lines that a study prints before and after its search; `cli.progress` has those of its trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from autotune.core.confirmation import Confirmation
from autotune.core.machine import Hardware
from autotune.core.space_types import Budget, Space
from autotune.report.text import formatting
from autotune.report.text.shell_command import quoted
from autotune.space import goal_section
from autotune.study import versions
from autotune.study.model import suggest
from autotune.study.search import convergence, driver
from autotune.study.search.outcome import Outcome
from autotune.study.search.transfer import WarmStart
from autotune.study.storage import store

SETTLED = f"{math.expm1(convergence.SETTLED_GAIN) * 100:.0f} %"

ENDED = {
    "trials": "all trials of the budget are done",
    "minutes": "the search's part of the budget's minutes is used up",
    "exhausted": "every configuration of the space was tried",
    "settled": f"nothing untried that is likely to run promises another {SETTLED}",
    "stale": f"the last {driver.STALE} trials found nothing better",
}
"""The reason for which a search ended, in words."""

ALL_MINUTES = "the budget's minutes are used up"


def introduction(
    space: Space, hw: Hardware, folder: Path, finished: int, first: WarmStart, sampler: str | None
) -> Iterator[str]:
    """The model, the study, its budget and goal, what it begins with, and what of the space cannot be tried here.

    `finished` is the number of trials of earlier runs.
    """
    size = f"up to {formatting.number(suggest.count(space.domains), 'configuration')}"
    yield f"{space.workload.model} on {hw.instance_type}: {size}, {formatting.number(len(hw.cores), 'core')}"
    yield f"study     {folder}" + (f", going on after trial {finished}" if finished else "")
    for change in versions.changes(store.results(folder), hw):
        yield f"versions  {change}, which are marked; no claim mixes versions"
    yield f"budget    {_budget(space.budget)}"
    wanted = [f"{name} at its best" for name in space.goal.objectives if space.goal.objectives != ("throughput",)]
    limits = [formatting.bounds(limit) for limit in goal_section.written(space.constraints)]
    if wanted or limits:
        yield f"wanted    {', '.join([*wanted, *limits])}"
    if sampler is not None:
        yield f"sampler   {sampler}"
    if first.sources and not finished:
        yield f"first     {', '.join(_taken(len(source.configs), source.study) for source in first.sources)}"
    for left_out in space.excluded:
        yield f"left out  {left_out.setting} {left_out.value}: {left_out.reason}"


def search_ended(
    outcome: Outcome, budget: Budget, skip_confirmation: bool, predicted_s: float | None = None
) -> Iterator[str]:
    """The reason for which the search ended, how long all runs of the study took, and what is left of the minutes.

    `predicted_s` are the seconds that a confirmation of this search is predicted to need.
    """
    ended = ALL_MINUTES if skip_confirmation and outcome.reason == "minutes" else ENDED[outcome.reason]
    early = "the search ended early: " if outcome.reason == "settled" and budget != Budget() else ""
    left = ""
    if early and budget.minutes is not None and predicted_s is not None:
        of = formatting.duration(max(0.0, budget.minutes * 60 - outcome.elapsed_s))
        left = f"; of the {of} that are left the confirmation is predicted to need {formatting.duration(predicted_s)}"
    yield f"{early}{ended}, after {formatting.duration(outcome.elapsed_s)}{left}"
    if outcome.reason == "minutes" and not outcome.trials:
        yield "they were too few for a trial; raise --minutes"


def nothing_measured(
    outcome: Outcome, budget: Budget, confirmation: Confirmation | None, skip_confirmation: bool
) -> str:
    """The reason for which a run measured nothing, and the option that gives it more to do."""
    if confirmation is not None and confirmation.reason is not None:
        return f"the budget is used up: {confirmation.reason}"
    most = {"trials": budget.trials, "minutes": budget.minutes}.get(outcome.reason)
    more = [] if most is None else [f"raise --{outcome.reason} ({most:g} now) to search further"]
    more += ["leave out --skip-confirmation to confirm"] if skip_confirmation else []
    return "; ".join(["nothing is left to do", ", ".join(more)]) if more else "nothing is left to do"


def _budget(budget: Budget) -> str:
    limits = [
        formatting.number(count, unit)
        for count, unit in ((budget.trials, "trial"), (budget.minutes, "minute"))
        if count is not None
    ]
    return " or ".join(limits) or "none: until nothing better is to be expected"


def _taken(count: int, study: str) -> str:
    """`3 configurations from resnet50@c7i.xlarge`."""
    return f"{formatting.number(count, 'configuration') if count else 'none'} from {quoted(study)}"
