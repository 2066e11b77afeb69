"""The decision among the finalists: which one wins, and whether that is a gain over the baseline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from autotune.analysis import selection, stats
from autotune.analysis.constraints import ConstraintCheck
from autotune.core.config import Config
from autotune.core.confirmation import Finalist, Verdict
from autotune.core.results import Estimate, InterleavedRun, TrialResult
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import elimination, outcomes, schedule, scores
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.scores import ScoreTable
from autotune.study.model import config_diff

DEFAULT_RUN_S = 30.0
"""The longest that an interleaved run may take, where none was made."""


@dataclass(frozen=True)
class Decision:
    """The winner of the finalists' interleaved runs; `reason` is why nothing can be claimed, None if it can.

    Without a gain it is the baseline, unless that breaks the limits. `rates` are those of the runs with the baseline,
    `leads` those of all runs. It is `settled` if whichever of its `rivals` (the winner is one) wins in the end has its
    claim, so that they can go on without the baseline.
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
    settled: bool


@dataclass(frozen=True)
class Standing:
    """A finalist after the interleaved runs; differences are log ratios of which more is better.

    `gains` are over the baseline by each objective, on `runs` runs by the first one; `behind` is the leader's lead over
    it, None for the leader itself. `remains` is true if it may still win.
    """

    name: str
    trial: TrialResult
    gains: tuple[Estimate, ...]
    runs: int
    error: str | None
    violation: ConstraintCheck | None
    remains: bool
    behind: Estimate | None = None
    verdict: Verdict | None = None

    @property
    def measured(self) -> bool:
        """True if it was measured together with the baseline."""
        return not math.isnan(self.gains[0].estimate)

    def may_win(self, rules: ConfirmRules) -> bool:
        """True if it is not shown to differ from the leader, and seems behind by half of what matters at most."""
        able = self.error is None and self.violation is None and self.measured
        equal = self.verdict == "tie" or (self.verdict == "undecided" and self._behind <= rules.delta / 2)
        return able and equal and (self.remains or self.has_claim(rules))

    def has_claim(self, rules: ConfirmRules) -> bool:
        """True if it has the runs of a claim."""
        return self.runs >= self.needed_runs(rules)

    def needed_runs(self, rules: ConfirmRules) -> int:
        """The runs of a claim: the fewest if its gains are known well enough by then; the baseline has none."""
        return (
            rules.runs if self.name != BASELINE and all(narrow(gain, rules) for gain in self.gains) else rules.sure_runs
        )

    @property
    def _behind(self) -> float:
        return math.inf if self.behind is None or math.isnan(self.behind.estimate) else self.behind.estimate

    def summary(self, objectives: Sequence[str]) -> Finalist:
        """The same as it is written down; ratios by objective only where there are several."""
        ratios = {
            objective: stats.from_logs(gain)
            for objective, gain in zip(objectives, self.gains, strict=True)
            if not math.isnan(gain.estimate)
        }
        behind = self.behind if self.measured else None
        return Finalist(
            trial=self.trial.spec.id,
            config=self.trial.spec.config,
            ratio=ratios.get(objectives[0]),
            verdict=self.verdict if self.measured else None,
            behind=None if behind is None else stats.from_logs(behind),
            error=self.error,
            ratios=ratios if len(objectives) > 1 else {},
            broken=None if self.violation is None else self.violation.description,
        )


@dataclass(frozen=True)
class UntilSelected:
    """The stopping rule of the finalists: those that may still win, with the baseline and the leader's repeat.

    Once the decision is settled only the rivals go on, until it is known which are as good as the best. None where no
    gain was found, once only the baseline is left, or where it fails: nothing can be claimed without it.
    """

    finalists: Finalists
    confirm: ConfirmRules
    constraints: Constraints
    decide: Callable[[Sequence[InterleavedRun]], Decision]

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        left = elimination.remaining(runs, list(self.finalists.trials), self.confirm, self.constraints)
        if left <= {BASELINE} or outcomes.failed(runs, BASELINE):
            return set()
        decided = self.decide(runs)
        if not decided.settled:
            repeat = {self.finalists.repeat} if self.finalists.leader in left else set()
            return left | {BASELINE} | repeat
        return set() if self.constraints.multi_objective or self._selected(decided) else set(decided.rivals)

    def _selected(self, decided: Decision) -> bool:
        """True if of each rival it is known that it is as good as the best, or that it is not."""
        best = max(decided.rivals, key=decided.leads.level, default="")
        leads = [decided.leads.difference(best, other) for other in decided.rivals - {best}]
        return all(selection.verdict(lead, self.confirm.delta) != "undecided" for lead in leads)


def decide(
    runs: Sequence[InterleavedRun],
    finalists: Finalists,
    baseline: Config,
    rules: ConfirmRules,
    constraints: Constraints,
) -> Decision:
    """The best of those selected; of those not shown to differ from it the simplest one (`config_diff.simplicity`).

    Nothing is claimed with fewer runs than the rules ask, or where the gain does not exceed the noise floor; the
    winner then is the baseline. Of several objectives the knee of the search's front wins; a gain in any one is a gain,
    so that each is held to its own noise and to its part of the confidence (Bonferroni).
    """
    objectives = constraints.goal.objectives
    confidence = 1 - (1 - rules.confidence) / len(objectives)
    names = list(finalists.configs)
    with_baseline = [run for run in runs if BASELINE in run.candidates]
    tables = [scores.table(with_baseline, names, confidence, objective) for objective in objectives]
    leads = scores.table(runs, names, confidence)
    standings = _standings(runs, finalists, tables, rules, constraints)
    leader = _leader(standings, leads, constraints)
    standings = {name: _compared(standing, leader, leads, rules) for name, standing in standings.items()}
    floors = [_noise_floor(table, finalists, rules) for table in tables]
    gaining = {name for name, one in standings.items() if name != BASELINE and any(map(_exceeds, one.gains, floors))}
    equals = [] if constraints.multi_objective else [one for one in standings.values() if one.may_win(rules)]
    candidates = _candidates(standings[leader.name], equals, gaining)
    winner = min(candidates, key=lambda one: config_diff.simplicity(one.trial, baseline))
    only_baseline = [one.name for one in standings.values() if one.remains] == [BASELINE]
    reason = None if only_baseline else _reason(runs, winner, rules)
    gain = reason is None and winner.name in gaining
    if reason is None and not gain and standings[BASELINE].violation is None:
        winner = standings[BASELINE]
    rivals = [one for one in standings.values() if one.remains and one.name != BASELINE]
    count = len(with_baseline)
    none = count >= rules.sure_runs and (constraints.multi_objective or standings[BASELINE].verdict != "undecided")
    return Decision(
        name=winner.name,
        config=winner.trial.spec.config,
        gain=gain,
        noise_floor=floors[0],
        finalists=tuple(one.summary(objectives) for one in standings.values()),
        rates=tables[0],
        leads=leads,
        reason=reason,
        rivals=frozenset(one.name for one in rivals) if gain else frozenset(),
        settled=reason is None
        and all(one.has_claim(rules) for one in rivals)
        and (gain or none)
        and _due(count, rules),
    )


def _standings(
    runs: Sequence[InterleavedRun],
    finalists: Finalists,
    tables: Sequence[ScoreTable],
    rules: ConfirmRules,
    constraints: Constraints,
) -> dict[str, Standing]:
    remaining = elimination.remaining(runs, list(finalists.trials), rules, constraints)
    return {
        name: Standing(
            name=name,
            trial=trial,
            gains=tuple(table.difference(name, BASELINE) for table in tables),
            runs=tables[0].counts(name, BASELINE)[0],
            error=outcomes.failure(runs, name),
            violation=constraints.broken(runs, name),
            remains=name in remaining,
        )
        for name, trial in finalists.trials.items()
    }


def _leader(standings: dict[str, Standing], leads: ScoreTable, constraints: Constraints) -> Standing:
    """The best of those that remain, or of several objectives the first; the baseline where none was measured."""
    candidates = [one for one in standings.values() if one.remains and one.measured] or [standings[BASELINE]]
    return candidates[0] if constraints.multi_objective else max(candidates, key=lambda one: leads.level(one.name))


def _candidates(leader: Standing, equals: Sequence[Standing], gaining: Collection[str]) -> list[Standing]:
    """The leader and its equals, of which one may win; where some are shown to gain, no other but the baseline.

    The baseline is among them only if it is known to be as good as a leader that gains.
    """
    able = [leader, *equals]
    if leader.name in gaining:
        return [one for one in able if one.name in gaining or one.name == BASELINE]
    return [one for one in able if one.name in gaining] or able


def _compared(standing: Standing, leader: Standing, leads: ScoreTable, rules: ConfirmRules) -> Standing:
    """The finalist with the leader's lead over it, and the verdict on that."""
    if standing.name == leader.name:
        return standing
    lead = leads.difference(leader.name, standing.name)
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


def narrow(gain: Estimate, rules: ConfirmRules) -> bool:
    """True if a gain, as a logarithm, is known well enough for a claim from the fewest runs."""
    if gain.low is None or gain.high is None:
        return False
    return (gain.high - gain.low) / 2 <= max(rules.narrow * gain.estimate, rules.narrowest)


def _due(count: int, rules: ConfirmRules) -> bool:
    """True if so many runs are one of the looks, or fewer than a claim needs for sure."""
    return count < rules.sure_runs or count in schedule.looks(count, rules)


def _minutes(runs: Sequence[InterleavedRun], count: int) -> int:
    """The minutes that so many further runs may take; they are a part of the budget only."""
    longest_s = max((run.wall_s for run in runs), default=DEFAULT_RUN_S)
    return math.ceil(longest_s * count / 60) + 1


def _noise_floor(table: ScoreTable, finalists: Finalists, rules: ConfirmRules) -> float | None:
    """The log ratio that the leader shows against itself: |mean| and half-width of the paired difference.

    None where it has fewer runs with its repeat than a claim needs: it failed, or was soon dropped.
    """
    difference = table.difference(finalists.leader, finalists.repeat)
    count, _ = table.counts(finalists.leader, finalists.repeat)
    if count < rules.runs or difference.low is None or difference.high is None:
        return None
    return abs(difference.estimate) + (difference.high - difference.low) / 2
