"""The reduction of the winner: without the settings not shown to help, unless it is measured to lose by that."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from autotune.analysis import selection
from autotune.core.config import Config
from autotune.core.confirmation import Ablation
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.space import configs
from autotune.study.confirm import outcomes, schedule, scores
from autotune.study.confirm.names import BASELINE, UNREDUCED, WINNER
from autotune.study.confirm.runner import SHARE, Runner
from autotune.study.confirm.scores import ONE_SIDED, ScoreTable
from autotune.study.confirm.standing import needed_runs
from autotune.study.model.config_diff import without


@dataclass(frozen=True)
class Reduction:
    """The winner that is exported, and the ablations; `runs` are its own, none if it is the unreduced one."""

    config: Config
    ablations: tuple[Ablation, ...]
    runs: tuple[InterleavedRun, ...] = ()


CANDIDATES = (BASELINE, WINNER, UNREDUCED)
"""The candidates; here the winner is the reduced one."""


def measure(runner: Runner, winner: Config, ablations: tuple[Ablation, ...], noise_floor: float | None) -> Reduction:
    """The winner without the settings not shown to help, if that is measured and accepted, else the winner.

    Where leaving all such out is refused it is tried once more, with the one of them that seems to help most.
    """
    unhelpful = [one.setting for one in sorted(ablations, key=_worth, reverse=True) if one.removed]
    config, runs, refusal = _measured_without(runner, winner, unhelpful, noise_floor)
    if refusal is None:
        return Reduction(config, ablations, runs)
    whole = Reduction(winner, kept(ablations, unhelpful, refusal))
    if len(unhelpful) < 2:
        return whole
    config, runs, again = _measured_without(runner, winner, unhelpful[1:], noise_floor)
    return whole if again is not None else Reduction(config, kept(ablations, unhelpful[:1], refusal), runs)


def _worth(one: Ablation) -> float:
    return 0.0 if one.ratio is None else one.ratio.estimate


def _measured_without(
    runner: Runner, winner: Config, settings: Collection[str], noise_floor: float | None
) -> tuple[Config, tuple[InterleavedRun, ...], str | None]:
    """The winner without these settings, its runs, and the reason why it is not taken, None if it is."""
    context, baseline = runner.context, runner.context.study.space.baseline
    config = without(winner, baseline, set(settings), context.study.hardware)
    if (obstacle := obstacle_to(config, winner, baseline, context.study.hardware)) is not None:
        return config, (), obstacle
    candidates = {BASELINE: baseline, WINNER: config, UNREDUCED: winner}
    headline = "measuring the winner without the settings that are not shown to help"
    before = list(runner.all_runs.values())
    rule = UntilAccepted(context.confirm, config, winner, before)
    most_s, run_s = context.left.most(), max((run.wall_s for run in runner.last_runs), default=0.0)
    seconds = max(context.left() * SHARE, min(context.confirm.runs * run_s, most_s))
    runs = runner.compare("whole", headline, candidates, rule, seconds, most_s)
    runner.measure_more_calls(WINNER, config, runs)
    broken = runner.constraints.broken(runs, WINNER, tried=False)
    refusal = rule.refusal(runs, noise_floor) if broken is None else f"without all such settings {broken.description}"
    return config, tuple(runs), refusal


def obstacle_to(config: Config, winner: Config, baseline: Config, hw: Hardware) -> str | None:
    """The reason why a reduced winner need not be measured: it cannot run here, or nothing would be left.

    A winner of which nothing is left was already shown to beat what is left: the baseline.
    """
    if config == baseline:
        return "without all such settings nothing but the baseline is left"
    if config == winner or configs.unavailable(config, hw):
        return "without all such settings it cannot run here"
    return None


@dataclass(frozen=True)
class UntilAccepted:
    """The stopping rule of a reduction: all three until the reduced winner has its claim and its loss is known."""

    confirm: ConfirmRules
    reduced: Config
    whole: Config
    before: Sequence[InterleavedRun] = ()

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        if any(outcomes.failed(runs, name) for name in CANDIDATES):
            return set()
        complete = [run for run in runs if outcomes.complete([run], CANDIDATES)]
        looks = [self.confirm.runs, *schedule.looks(len(complete), self.confirm)]
        known = (self._known(complete[:count]) for count in looks if count <= len(complete))
        return set() if any(known) else set(CANDIDATES)

    def _known(self, runs: Sequence[InterleavedRun]) -> bool:
        loss = self.loss(runs)
        if selection.leads_by(loss, self.confirm.delta) or loss.low is None or loss.high is None:
            return True
        rates = _rates(runs, self.confirm)
        count, gain = rates.counts(WINNER, BASELINE)[0], rates.difference(WINNER, BASELINE)
        return count >= needed_runs([gain], self.confirm) and (loss.high <= self.confirm.delta or loss.low > 0)

    def loss(self, runs: Sequence[InterleavedRun]) -> Estimate:
        """What is lost without the settings, by all interleaved runs of the confirmation that had both."""
        keys = self.whole.key, self.reduced.key
        rates = scores.table(scores.by_configuration([*self.before, *runs]), keys, self.confirm.confidence)
        return rates.difference(*keys, ONE_SIDED)

    def refusal(self, runs: Sequence[InterleavedRun], noise_floor: float | None) -> str | None:
        """The reason why the reduced winner is not taken; None if it gains for sure, and loses little.

        That is less than `delta` for sure, and what seems to be a quarter of it at most. To take it unless a loss is
        shown would give away more: few runs show little.
        """
        if errors := [error for name in CANDIDATES if (error := outcomes.failure(runs, name)) is not None]:
            return f"measuring it without all such settings failed: {errors[0]}"
        rates = _rates(runs, self.confirm)
        gain, loss = rates.difference(WINNER, BASELINE), self.loss(runs)
        count, needed = rates.counts(WINNER, BASELINE)[0], needed_runs([gain], self.confirm)
        lost = f"without all such settings it seems to lose {100 * -math.expm1(-loss.estimate):.1f} %"
        if selection.leads_by(loss, self.confirm.delta):
            return lost
        if count < needed or loss.high is None:
            return f"the time was enough for {count} of {needed} interleaved runs without all such settings"
        if gain.low is None or gain.low <= 0 or gain.estimate <= (noise_floor or 0.0):
            return "without all such settings it is not shown to beat the baseline"
        if loss.estimate > self.confirm.delta / 4:
            return lost
        may = f"without all such settings it may lose {100 * -math.expm1(-loss.high):.1f} %"
        return None if loss.high <= self.confirm.delta else may


def kept(ablations: Sequence[Ablation], settings: Collection[str], reason: str) -> tuple[Ablation, ...]:
    """The ablations of a winner that keeps these settings for this reason."""
    return tuple(
        msgspec.structs.replace(one, removed=False, resolved=False, kept=reason) if one.setting in settings else one
        for one in ablations
    )


def _rates(runs: Sequence[InterleavedRun], rules: ConfirmRules) -> ScoreTable:
    return scores.table(runs, CANDIDATES, rules.confidence)
