"""The reduction of the winner: without the settings that are worth nothing, if it is measured to lose nothing so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from autotune.core.config import Config
from autotune.core.confirmation import Ablation
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.space import configs
from autotune.study.confirm import outcomes, schedule, scores
from autotune.study.confirm.ablation import ONE_SIDED
from autotune.study.confirm.names import BASELINE, UNREDUCED, WINNER
from autotune.study.confirm.runner import SHARE, Runner
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
    """The winner without the settings that are worth nothing, if that is measured and accepted, else the winner."""
    context, baseline = runner.context, runner.context.study.space.baseline
    config = reduced(winner, baseline, ablations, context.study.hardware)
    if config == winner:
        return Reduction(winner, ablations)
    candidates = {BASELINE: baseline, WINNER: config, UNREDUCED: winner}
    headline = "measuring the winner without the settings that are worth nothing"
    rule = UntilAccepted(context.confirm)
    runs = runner.compare("whole", headline, candidates, rule, context.left() * SHARE)
    runner.measure_more_calls(WINNER, config, runs)
    if accepted(runs, context.confirm, noise_floor) and runner.constraints.broken(runs, WINNER, tried=False) is None:
        return Reduction(config, ablations, tuple(runs))
    return Reduction(winner, nothing_removed(ablations))


def reduced(winner: Config, baseline: Config, ablations: Sequence[Ablation], hw: Hardware) -> Config:
    """The winner without the settings that are worth nothing; the winner itself where that cannot run here."""
    config = without(winner, baseline, {ablation.setting for ablation in ablations if ablation.removed}, hw)
    return winner if configs.unavailable(config, hw) else config


@dataclass(frozen=True)
class UntilAccepted:
    """The stopping rule of a reduction: all three until the reduced winner is known to lose nothing, or to lose."""

    confirm: ConfirmRules

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        if any(outcomes.failed(runs, name) for name in CANDIDATES):
            return set()
        complete = [run for run in runs if outcomes.complete([run], CANDIDATES)]
        for count in schedule.looks(len(complete), self.confirm):
            loss = _rates(complete[:count], self.confirm).difference(UNREDUCED, WINNER, ONE_SIDED)
            if loss.low is None or loss.high is None or loss.high <= self.confirm.delta or loss.low > 0:
                return set()
        return set(CANDIDATES)


def accepted(runs: Sequence[InterleavedRun], rules: ConfirmRules, noise_floor: float | None) -> bool:
    """True if the reduced winner beats the baseline for sure, and for sure loses no more than `delta`."""
    rates = _rates(runs, rules)
    loss = rates.difference(UNREDUCED, WINNER, ONE_SIDED)
    gain = rates.difference(WINNER, BASELINE)
    if rates.counts(WINNER, BASELINE)[0] < rules.runs or loss.high is None or gain.low is None:
        return False
    return gain.low > 0 and gain.estimate > (noise_floor or 0.0) and loss.high <= rules.delta


def nothing_removed(ablations: Sequence[Ablation]) -> tuple[Ablation, ...]:
    """The ablations of a winner that stays whole: its settings are worth something together, or were not measured."""
    return tuple(
        msgspec.structs.replace(ablation, removed=False, resolved=ablation.resolved and not ablation.removed)
        for ablation in ablations
    )


def _rates(runs: Sequence[InterleavedRun], rules: ConfirmRules) -> scores.ScoreTable:
    return scores.table(runs, CANDIDATES, rules.confidence)
