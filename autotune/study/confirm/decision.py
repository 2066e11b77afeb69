"""The decision among the finalists: which one wins, and whether that is a gain over the baseline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from autotune.analysis import selection
from autotune.core.config import Config
from autotune.core.confirmation import Finalist
from autotune.core.estimate import Estimate
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import elimination, names, outcomes, schedule, scores
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.links import Links
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.scores import ScoreTable
from autotune.study.confirm.standing import Standing
from autotune.study.model import config_diff

DEFAULT_RUN_S = 30.0
"""The longest that an interleaved run may take, where none was made."""


@dataclass(frozen=True)
class Decision:
    """The winner of the finalists' interleaved runs; `reason` is why nothing can be claimed, None if it can.

    Without a gain it is the baseline, unless that breaks the limits. `rates` are those that the winner's gain is from:
    of the runs with the baseline, or of all where it is linked to that; `leads` are those of all runs. The `rivals` may
    still win; there are none where the baseline does. The `claimed` have a claim from runs with the baseline. It is
    `settled` if there is a claim, or for sure none; of several objectives all that may win have one by then.
    """

    name: str
    config: Config
    gain: bool
    noise_floor: float | None
    finalists: tuple[Finalist, ...]
    rates: ScoreTable
    leads: ScoreTable
    reason: str | None
    rivals: frozenset[str]
    claimed: frozenset[str]
    settled: bool


def decide(
    runs: Sequence[InterleavedRun],
    finalists: Finalists,
    baseline: Config,
    rules: ConfirmRules,
    constraints: Constraints,
    *,
    ended: bool = False,
) -> Decision:
    """The best of those selected; of those not shown to differ from it the simplest one (`config_diff.simplicity`).

    If the comparison has `ended` it is one that has a claim, where there is any. Nothing is claimed with fewer runs
    than the rules ask, or where the gain does not exceed the noise floor; the winner then is the baseline. Of several
    objectives the knee of the search's front wins; a gain in any one is a gain, so that each is held to its own noise
    and to its part of the confidence (Bonferroni).
    """
    objectives = constraints.goal.objectives
    confidence = 1 - (1 - rules.confidence) / len(objectives)
    candidates_by_name = list(dict.fromkeys([*finalists.configs, *(name for run in runs for name in run.candidates)]))
    with_baseline = [run for run in runs if BASELINE in run.candidates]
    tables = [scores.table(with_baseline, candidates_by_name, confidence, objective) for objective in objectives]
    leads = scores.table(runs, candidates_by_name, confidence, objectives[0])
    standings = _standings(runs, finalists, tables, leads, rules, constraints)
    floors = [_noise_floor(table, rules) for table in tables]
    gaining = {name for name, one in standings.items() if name != BASELINE and any(map(_exceeds, one.gains, floors))}
    claimed = {name for name in gaining if standings[name].has_claim(rules) and standings[name].violation is None}
    able = {name for name in claimed if standings[name].error is None}
    eligible = able if ended and able else standings.keys()
    leader = _leader({name: standings[name] for name in standings if name in eligible}, leads, constraints)
    standings = {name: _compared(standing, leader, leads, rules) for name, standing in standings.items()}
    equals = [one for one in standings.values() if one.name in eligible | {BASELINE} and one.may_win(rules)]
    candidates = _candidates(standings[leader.name], [] if constraints.multi_objective else equals, gaining)
    winner = min(candidates, key=lambda one: config_diff.simplicity(one.trial, baseline))
    sure = claimed if winner.name != BASELINE else set()
    only_baseline = [one.name for one in standings.values() if one.remains] == [BASELINE]
    reason = None if only_baseline else _reason(runs, winner, rules)
    gain = reason is None and winner.name in gaining
    if reason is None and not gain and standings[BASELINE].violation is None:
        winner = standings[BASELINE]
    rivals = [one for one in standings.values() if one.remains and one.name != BASELINE]
    unmeasured = [one for one in rivals if not one.measured]
    awaited = [one for one in rivals if not one.has_claim(rules)] if constraints.multi_objective else []
    count = len(with_baseline)
    none = count >= rules.sure_runs and (constraints.multi_objective or standings[BASELINE].verdict != "undecided")
    return Decision(
        name=winner.name,
        config=winner.trial.spec.config,
        gain=gain,
        noise_floor=floors[0],
        finalists=tuple(one.summary(objectives) for one in standings.values()),
        rates=leads if winner.indirect else tables[0],
        leads=leads,
        reason=reason,
        rivals=frozenset(one.name for one in rivals) if winner.name != BASELINE else frozenset(),
        claimed=frozenset(name for name in able if not standings[name].linked),
        settled=(not awaited and any(_due(standings[name].runs, rules) for name in sure & able))
        or (none and not gain and not unmeasured and reason is None and _due(count, rules)),
    )


def _standings(
    runs: Sequence[InterleavedRun],
    finalists: Finalists,
    tables: Sequence[ScoreTable],
    leads: ScoreTable,
    rules: ConfirmRules,
    constraints: Constraints,
) -> dict[str, Standing]:
    """The standings by name; one with too few runs with the baseline gains by way of another."""
    remaining = elimination.remaining(runs, list(finalists.trials), rules, constraints)
    links = Links(tables[0], leads, rules, several=constraints.multi_objective)
    indirect = {name: links.indirect(name) for name in finalists.trials}
    return {
        name: Standing(
            name=name,
            trial=trial,
            gains=tuple(
                (leads if indirect[name] and not place else table).difference(name, BASELINE)
                for place, table in enumerate(tables)
            ),
            runs=tables[0].counts(name, BASELINE)[0],
            error=outcomes.failure(runs, name),
            violation=constraints.broken(runs, name),
            remains=name in remaining,
            indirect=indirect[name],
            linked=links.linked(name),
            stale=name in links.stale,
        )
        for name, trial in finalists.trials.items()
    }


def _leader(standings: dict[str, Standing], rates: ScoreTable, constraints: Constraints) -> Standing:
    """The best of those that remain, or of several objectives the first; the last one where none was measured.

    Where none remains it is the best of those that run and keep the limits.
    """
    able = [one for one in standings.values() if one.measured and one.error is None and one.violation is None]
    candidates = [one for one in able if one.remains] or able or list(standings.values())[-1:]
    return candidates[0] if constraints.multi_objective else max(candidates, key=lambda one: rates.level(one.name))


def _candidates(leader: Standing, equals: Sequence[Standing], gaining: Collection[str]) -> list[Standing]:
    """The leader and its equals, of which one may win; where some are shown to gain, no other but the baseline.

    The baseline is among them only if it is known to be as good as a leader that gains.
    """
    able = [leader, *equals]
    if leader.name in gaining:
        return [one for one in able if one.name in gaining or one.name == BASELINE]
    return [one for one in able if one.name in gaining] or able


def _compared(standing: Standing, leader: Standing, rates: ScoreTable, rules: ConfirmRules) -> Standing:
    """The finalist with the leader's lead over it, and the verdict on that."""
    if standing.name == leader.name:
        return standing
    lead = rates.difference(leader.name, standing.name)
    return dataclasses.replace(standing, behind=lead, verdict=selection.verdict(lead, rules.delta))


def _exceeds(gain: Estimate, floor: float | None) -> bool:
    """True if a gain is one for sure, and more than a configuration differs from itself."""
    return gain.low is not None and gain.low > 0 and (floor is None or gain.estimate > floor)


def _reason(runs: Sequence[InterleavedRun], winner: Standing, rules: ConfirmRules) -> str | None:
    """The reason why nothing can be claimed for this winner; None if it can."""
    if winner.violation is not None:
        return f"no finalist kept the limits while it was confirmed; {winner.name}: {winner.violation.description}"
    for name in (BASELINE, winner.name):
        if error := outcomes.failure(runs, name):
            return f"{name} failed while it was confirmed: {error}"
    count, needed = winner.runs, winner.needed_runs(rules)
    if winner.has_claim(rules):
        return None
    if outcomes.shared(runs, winner.name, BASELINE) >= needed:
        return f"only {count} interleaved runs have what is wanted of {winner.name}; a claim needs {needed}"
    return (
        f"the time was enough for {count} of the {needed} interleaved runs that a claim needs; "
        f"the same command goes on, if need be with --minutes raised by {_minutes(runs, needed - count)}"
    )


def _due(count: int, rules: ConfirmRules) -> bool:
    """True if so many runs are one of the looks, or fewer than a claim needs for sure."""
    return count < rules.sure_runs or count in schedule.looks(count, rules)


def _minutes(runs: Sequence[InterleavedRun], count: int) -> int:
    """The minutes that so many further runs may take; they are a part of the budget only."""
    longest_s = max((run.wall_s for run in runs), default=DEFAULT_RUN_S)
    return math.ceil(longest_s * count / 60) + 1


def _noise_floor(table: ScoreTable, rules: ConfirmRules) -> float | None:
    """The log ratio that a configuration shows against itself: |mean| and half-width of the paired difference.

    None where none has as many runs with its repeat as a claim needs: it failed, or was soon dropped.
    """
    pairs = [(name, again) for name in table.logs if (again := names.repeat(name)) in table.logs]
    pair = max(pairs, key=lambda one: table.counts(*one), default=None)
    if pair is None or table.counts(*pair)[0] < rules.runs:
        return None
    difference = table.difference(*pair)
    if difference.low is None or difference.high is None:
        return None
    return abs(difference.estimate) + (difference.high - difference.low) / 2
