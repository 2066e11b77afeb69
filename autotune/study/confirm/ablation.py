"""The ablation of the winner: it is measured against itself with one setting put back to the baseline's value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from autotune.core.config import Config
from autotune.core.confirmation import Ablation
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.space import configs
from autotune.study.confirm import claim, names, outcomes, schedule, scores
from autotune.study.confirm.names import WINNER
from autotune.study.confirm.runner import SHARE, Runner
from autotune.study.confirm.scores import ONE_SIDED, ScoreTable
from autotune.study.model.config_diff import Change, changes, without

LEAST_RUNS = 2
"""Fewer runs answer nothing: a setting is then neither worth something nor left out."""


@dataclass(frozen=True)
class Variant:
    """The winner with one changed setting put back."""

    change: Change
    config: Config


Variants = Mapping[str, Variant]
"""By the name of the candidate."""


def measure(runner: Runner, winner: Config) -> tuple[Ablation, ...]:
    """The worth of each setting in which the winner differs from the baseline, as far as the time allows."""
    context = runner.context
    baseline, hw = context.study.space.baseline, context.study.hardware
    tried = variants(winner, baseline, hw)
    candidates = {WINNER: winner} | {name: variant.config for name, variant in tried.items()}
    seconds = context.left() * SHARE
    headline = "measuring what each setting of the winner is worth"
    runs = runner.compare("one-out", headline, candidates, UntilResolved(tried, context.confirm), seconds, seconds)
    return (*ablations(runs, tried, context.confirm), *impossible(winner, baseline, hw))


def variants(winner: Config, baseline: Config, hw: Hardware) -> Variants:
    """The variants of the winner that can run here, one for every changed setting.

    A backend takes its options along, and knobs that have no effect without it stay as they are only if they may.
    """
    found = {}
    for change in changes(winner, baseline):
        config = without(winner, baseline, {change.setting}, hw)
        if configs.unavailable(config, hw) is None:
            found[names.without(change.setting)] = Variant(change, config)
    return found


def impossible(winner: Config, baseline: Config, hw: Hardware) -> tuple[Ablation, ...]:
    """The changed settings that cannot be put back alone, with the reason."""
    found = []
    for change in changes(winner, baseline):
        reason = configs.unavailable(without(winner, baseline, {change.setting}, hw), hw)
        if reason is not None:
            found.append(_unmeasured(change, reason))
    return tuple(found)


@dataclass(frozen=True)
class UntilResolved:
    """The stopping rule of an ablation: the variants that are not resolved, with the winner; none once all are."""

    variants: Variants
    confirm: ConfirmRules

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        open_names = {name for name in self.variants if not outcomes.failed(runs, name)}
        for count in schedule.looks(len(runs), self.confirm):
            looked = _by_name(runs[:count], self.variants, self.confirm)
            open_names = {name for name in open_names if not looked[name].resolved}
        return open_names | {WINNER} if open_names else set()


def ablations(runs: Sequence[InterleavedRun], variants: Variants, rules: ConfirmRules) -> tuple[Ablation, ...]:
    """The worth of each changed setting, largest first; those not shown to help are marked as removed."""
    found = _by_name(runs, variants, rules).values()
    return tuple(sorted(found, key=lambda ablation: -ablation.ratio.estimate if ablation.ratio else 0.0))


def _by_name(runs: Sequence[InterleavedRun], variants: Variants, rules: ConfirmRules) -> dict[str, Ablation]:
    rates = scores.table(runs, [WINNER, *variants], rules.confidence)
    return {name: _ablation(runs, rates, name, variant.change, rules) for name, variant in variants.items()}


def _ablation(
    runs: Sequence[InterleavedRun], rates: ScoreTable, name: str, change: Change, rules: ConfirmRules
) -> Ablation:
    if error := outcomes.failure(runs, name):
        return _unmeasured(change, error)
    ratio, (count, _) = rates.ratio(WINNER, name), rates.counts(WINNER, name)
    upper = rates.difference(WINNER, name, ONE_SIDED).high
    measured = count >= LEAST_RUNS
    gains = measured and claim.above_one(ratio)
    worthless = count >= rules.sure_runs and upper is not None and upper < rules.delta
    return msgspec.structs.replace(
        _unmeasured(change), ratio=ratio, removed=measured and not gains, resolved=gains or worthless, runs=count
    )


def _unmeasured(change: Change, error: str | None = None) -> Ablation:
    return Ablation(setting=change.setting, value=change.value, instead=change.instead, ratio=None, error=error)
