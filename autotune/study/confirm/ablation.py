"""What each setting of the winner is worth, the winner without what is worth nothing, and the way that leads to it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from autotune.core.config import Config
from autotune.core.confirmation import Ablation, Step
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.core.struct import Struct, Value
from autotune.space import configs
from autotune.study.confirm import comparison
from autotune.study.confirm.comparison import Table
from autotune.study.confirm.config_diff import BACKEND, Change, between, changes, without
from autotune.study.confirm.decision import BASELINE

SHARE = 0.75
"""The part of the time left for explaining that leaving one out may use; the rest is for the way to the winner."""

ONE_SIDED = 0.90
"""The two-sided confidence whose upper bound holds at 95 %."""

WINNER = "winner"
UNREDUCED = "unreduced"

Variants = Mapping[str, tuple[Change, Config]]
"""By candidate: a changed setting, and the winner with that setting put back."""


def variants(winner: Config, baseline: Config, hw: Hardware) -> Variants:
    """The winner with one setting put back, for every changed setting where the rest can still be honoured.

    A backend takes its options along, and knobs that have no effect without it stay as they are only if they may.
    """
    found = {}
    for change in changes(winner, baseline):
        config = without(winner, baseline, {change.setting}, hw)
        if configs.unavailable(config, hw) is None:
            found[f"without-{change.setting}"] = (change, config)
    return found


@dataclass(frozen=True)
class Unresolved:
    """The variants whose worth is still open, with the winner; none once all are clear.

    Judged when there are so many runs as a claim needs, and whenever there are twice as many: looking after every
    one would find by chance what is not there.
    """

    variants: Variants
    confirm: ConfirmRules

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        names = {name for name in self.variants if comparison.failure(runs, name) is None}
        count = self.confirm.runs
        while count <= len(runs):
            found = {name: _worth(runs[:count], name, *self.variants[name], self.confirm) for name in names}
            names = {name for name, ablation in found.items() if not ablation.resolved}
            count *= 2
        return names | {WINNER} if names else set()


def impossible(winner: Config, baseline: Config, hw: Hardware) -> tuple[Ablation, ...]:
    """The changed settings that cannot be put back alone, with the reason."""
    found = []
    for change in changes(winner, baseline):
        reason = configs.unavailable(without(winner, baseline, {change.setting}, hw), hw)
        if reason is not None:
            ablation = Ablation(
                setting=change.setting, value=change.value, instead=change.instead, ratio=None, error=reason
            )
            found.append(ablation)
    return tuple(found)


def ablations(runs: Sequence[InterleavedRun], variants: Variants, rules: ConfirmRules) -> tuple[Ablation, ...]:
    """What each changed setting is worth, largest first; those that are worth nothing are marked as removed."""
    found = [_worth(runs, name, change, config, rules) for name, (change, config) in variants.items()]
    return tuple(sorted(found, key=lambda ablation: -ablation.ratio.estimate if ablation.ratio else 0.0))


def _worth(runs: Sequence[InterleavedRun], name: str, change: Change, config: Config, rules: ConfirmRules) -> Ablation:
    ablation = Ablation(setting=change.setting, value=change.value, instead=change.instead, ratio=None)
    if error := comparison.failure(runs, name):
        return msgspec.structs.replace(ablation, error=error)
    if not runs:
        return ablation
    rates = comparison.table(runs, [WINNER, name], rules.confidence)
    enough = rates.counts(WINNER, name)[0] >= rules.runs
    upper = rates.difference(WINNER, name, ONE_SIDED).high
    removed = enough and upper is not None and upper < rules.delta
    ratio = rates.ratio(WINNER, name)
    shown = ratio is not None and ratio.low is not None and ratio.low > 1
    return msgspec.structs.replace(ablation, ratio=ratio, removed=removed, resolved=removed or shown)


def reduced(winner: Config, baseline: Config, found: Sequence[Ablation], hw: Hardware) -> Config:
    """The winner without the settings that are worth nothing; the winner itself where that cannot be honoured."""
    config = without(winner, baseline, {ablation.setting for ablation in found if ablation.removed}, hw)
    return winner if configs.unavailable(config, hw) else config


def kept(found: Sequence[Ablation]) -> tuple[Ablation, ...]:
    """The same with nothing removed: together they are worth something after all, or that was not measured."""
    return tuple(
        msgspec.structs.replace(ablation, removed=False, resolved=ablation.resolved and not ablation.removed)
        for ablation in found
    )


class Stage(Struct):
    """A configuration on the way to the winner, and the settings that make it differ from the one before."""

    settings: dict[str, Value]
    config: Config


def stages(winner: Config, baseline: Config, found: Sequence[Ablation], hw: Hardware) -> dict[str, Stage]:
    """The way from the baseline to the winner by candidate, each with one setting more, the largest worth first.

    A setting that cannot be honoured, or changes nothing, without the next one goes together with it. The last stage is
    the winner.
    """
    values = {change.setting: change.value for change in changes(winner, baseline)}
    passed: dict[str, Stage] = {}
    applied: list[str] = []
    pending: list[str] = []
    for setting in _order(winner, baseline, found):
        pending.append(setting)
        config = between(winner, baseline, [*applied, *pending], hw)
        before = next(reversed(passed.values())).config if passed else baseline
        if config == before or (config != winner and configs.unavailable(config, hw) is not None):
            continue
        name = WINNER if config == winner else f"with-{setting}"
        passed[name] = Stage(settings={one: values[one] for one in pending}, config=config)
        applied += pending
        pending = []
    return passed or {WINNER: Stage(settings={}, config=winner)}


def _order(winner: Config, baseline: Config, found: Sequence[Ablation]) -> list[str]:
    """The winner's changes by worth, options behind their backend."""
    rank = {ablation.setting: i for i, ablation in enumerate(found)}
    last = len(rank)
    differing = changes(winner, baseline)
    ahead = rank.get(BACKEND, last)
    options = {change.setting for change in differing if change.option}
    backend_changes = any(change.setting == BACKEND for change in differing)

    def key(change: Change) -> tuple[int, int]:
        own = rank.get(change.setting, last)
        behind = backend_changes and change.setting in options
        return (max(own, ahead), 1) if behind else (own, 0)

    return [change.setting for change in sorted(differing, key=key)]


@dataclass(frozen=True)
class Whole:
    """All of these sit until a claim has the interleaved runs that it needs."""

    configs: Mapping[str, Config]
    confirm: ConfirmRules

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        names = [name for name in self.configs if comparison.failure(runs, name) is None]
        return set() if comparison.complete(runs, names) >= self.confirm.runs else set(names)


def path(rates: Table, passed: Mapping[str, Stage]) -> tuple[Step, ...]:
    """What each stage brought, as far as it sat."""
    names = [BASELINE, *passed]
    return tuple(
        Step(settings=passed[name].settings, ratio=rates.ratio(name, before), total=rates.ratio(name, BASELINE))
        for before, name in itertools.pairwise(names)
    )
