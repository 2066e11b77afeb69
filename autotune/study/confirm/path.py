"""The path from the baseline to the winner: one setting more at each step, the most valuable first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from autotune.core.config import Config
from autotune.core.confirmation import Ablation, Step
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value
from autotune.space import configs
from autotune.study.confirm import names, scores
from autotune.study.confirm.names import BASELINE, WINNER
from autotune.study.confirm.runner import Runner
from autotune.study.confirm.schedule import UntilComplete
from autotune.study.confirm.scores import ScoreTable
from autotune.study.model.config_diff import BACKEND, Change, between, changes


def measure(runner: Runner, winner: Config, ablations: Sequence[Ablation]) -> tuple[Step, ...]:
    """The steps from the baseline to the winner, as far as the time allows; none where there is only one."""
    context = runner.context
    baseline, confirm = context.study.space.baseline, context.confirm
    on_the_way = stops(winner, baseline, ablations, context.study.hardware)
    if len(on_the_way) < 2:  # then the finalists say it all
        return ()
    candidates = {BASELINE: baseline} | {name: stop.config for name, stop in on_the_way.items()}
    headline = f"measuring the way from the baseline to the winner in {len(on_the_way)} steps"
    runs = runner.compare("path", headline, candidates, UntilComplete(candidates, confirm), context.left())
    return steps(scores.table(runs, list(candidates), confirm.confidence), on_the_way)


class Stop(Struct):
    """A configuration on the path, and the settings that make it differ from the one before."""

    settings: dict[str, Value]
    config: Config


def stops(winner: Config, baseline: Config, ablations: Sequence[Ablation], hw: Hardware) -> dict[str, Stop]:
    """The configurations behind the baseline by the name of their candidate, up to the winner.

    A setting that cannot be honoured, or changes nothing, without the next one goes together with it.
    """
    values = {change.setting: change.value for change in changes(winner, baseline)}
    found: dict[str, Stop] = {}
    applied: list[str] = []
    pending: list[str] = []
    for setting in _order(winner, baseline, ablations):
        pending.append(setting)
        config = between(winner, baseline, [*applied, *pending], hw)
        before = next(reversed(found.values())).config if found else baseline
        if config == before or (config != winner and configs.unavailable(config, hw) is not None):
            continue
        name = WINNER if config == winner else names.up_to(setting)
        found[name] = Stop(settings={one: values[one] for one in pending}, config=config)
        applied += pending
        pending = []
    return found or {WINNER: Stop(settings={}, config=winner)}


def steps(rates: ScoreTable, stops: Mapping[str, Stop]) -> tuple[Step, ...]:
    """The ratio that each stop has to the one before and to the baseline, as far as they were measured."""
    candidates = [BASELINE, *stops]
    return tuple(
        Step(
            settings=stops[name].settings,
            ratio=rates.ratio(name, before),
            total=rates.ratio(name, BASELINE),
            runs=rates.counts(name, BASELINE)[0],
        )
        for before, name in itertools.pairwise(candidates)
    )


def _order(winner: Config, baseline: Config, ablations: Sequence[Ablation]) -> list[str]:
    """The winner's changed settings by worth, options behind their backend."""
    rank = {ablation.setting: place for place, ablation in enumerate(ablations)}
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
