"""The reduction of the winner: without the settings not shown to help, unless it is measured to lose by that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from autotune.analysis import selection
from autotune.core.config import Config
from autotune.core.confirmation import Ablation
from autotune.core.machine import Hardware
from autotune.core.results import Estimate, InterleavedRun
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
    """The winner without the settings not shown to help, if that is measured and accepted, else the winner."""
    context, baseline = runner.context, runner.context.study.space.baseline
    config = reduced(winner, baseline, ablations, context.study.hardware)
    if config == winner:
        return Reduction(winner, nothing_removed(ablations))
    candidates = {BASELINE: baseline, WINNER: config, UNREDUCED: winner}
    headline = "measuring the winner without the settings that are not shown to help"
    before = list(runner.all_runs.values())
    rule = UntilAccepted(context.confirm, config, winner, before)
    runs = runner.compare("whole", headline, candidates, rule, context.left() * SHARE)
    runner.measure_more_calls(WINNER, config, runs)
    if rule.accepted(runs, noise_floor) and runner.constraints.broken(runs, WINNER, tried=False) is None:
        return Reduction(config, ablations, tuple(runs))
    return Reduction(winner, nothing_removed(ablations))


def reduced(winner: Config, baseline: Config, ablations: Sequence[Ablation], hw: Hardware) -> Config:
    """The winner without the settings not shown to help; itself where that cannot run here, or nothing would be left.

    A winner of which nothing is left was already shown to beat what is left: the baseline.
    """
    config = without(winner, baseline, {ablation.setting for ablation in ablations if ablation.removed}, hw)
    return winner if config == baseline or configs.unavailable(config, hw) else config


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
        return _has_claim(_rates(runs, self.confirm), self.confirm) and (
            loss.high <= self.confirm.delta or loss.low > 0
        )

    def loss(self, runs: Sequence[InterleavedRun]) -> Estimate:
        """What is lost without the settings, by all interleaved runs of the confirmation that had both."""
        keys = self.whole.key, self.reduced.key
        rates = scores.table(scores.by_configuration([*self.before, *runs]), keys, self.confirm.confidence)
        return rates.difference(*keys, ONE_SIDED)

    def accepted(self, runs: Sequence[InterleavedRun], noise_floor: float | None) -> bool:
        """True if the reduced winner gains for sure, and loses less than `delta` for sure or seems to lose little.

        That is half of `delta` at most. To take it unless a loss is shown would give away more: few runs show little.
        """
        rates = _rates(runs, self.confirm)
        gain, loss = rates.difference(WINNER, BASELINE), self.loss(runs)
        return (
            _has_claim(rates, self.confirm)
            and gain.low is not None
            and gain.low > 0
            and gain.estimate > (noise_floor or 0.0)
            and loss.high is not None
            and (loss.high <= self.confirm.delta or loss.estimate <= self.confirm.delta / 2)
        )


def _has_claim(rates: ScoreTable, rules: ConfirmRules) -> bool:
    """True if the reduced winner has the runs of a claim."""
    return rates.counts(WINNER, BASELINE)[0] >= needed_runs([rates.difference(WINNER, BASELINE)], rules)


def nothing_removed(ablations: Sequence[Ablation]) -> tuple[Ablation, ...]:
    """The ablations of a winner that stays whole: its settings are worth something together, or nothing else runs."""
    return tuple(
        msgspec.structs.replace(ablation, removed=False, resolved=ablation.resolved and not ablation.removed)
        for ablation in ablations
    )


def _rates(runs: Sequence[InterleavedRun], rules: ConfirmRules) -> ScoreTable:
    return scores.table(runs, CANDIDATES, rules.confidence)
