"""The configuration whose start is shown: the baseline, a recipe, or that of a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.errors import SpaceError
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.core.struct import FORMAT
from autotune.report.text import formatting
from autotune.space import configs, domains
from autotune.space import values as setting
from autotune.study.search import recipes
from autotune.study.storage import store


class _Holder(msgspec.Struct):
    """`best.json` or a trial's `spec.json`, of which only this counts."""

    config: Config
    format: int = FORMAT


def chosen(space: Space, hw: Hardware, pick: int | None = None, file: Path | None = None) -> Config:
    """The baseline, number `pick` of what is tried first, or what a `best.json` or `spec.json` holds.

    SpaceError or StudyError if there is no such configuration, or this machine cannot honour it.
    """
    if file is not None:
        what, config = str(file), _read(file, hw)
    else:
        first = recipes.first(space, hw)
        number = 1 if pick is None else pick
        if not 1 <= number <= len(first):
            raise SpaceError(f"--pick is {number}; allowed: 1 to {len(first)}, the configurations that are tried first")
        what, config = f"configuration {number}", first[number - 1]
    if reason := why_not(config, space, hw):
        raise SpaceError(f"{what} cannot be used on {hw.instance_type}; {reason}")
    return config


def _read(path: Path, hw: Hardware) -> Config:
    """The configuration in a file, defaults filled in for what it does not name."""
    found = store.decode(path, _Holder, "give a best.json or the spec.json of a trial").config
    config = configs.configure(
        hw,
        batch_size=found.workload.batch_size,
        backend=found.backend,
        options=found.options,
        knobs=found.knobs,
    )
    for name, value in config.knobs.items():
        if allowed := setting.illegal(name, value):
            raise SpaceError(f"{path}: {name} is {formatting.literal(value)}; allowed: {allowed}")
    return config


def why_not(config: Config, space: Space, hw: Hardware) -> str | None:
    """The reason that a configuration cannot run the space's workload on a machine; None if it can."""
    invented = space.domains.backends.get(config.backend, config.options)
    if set(invented) != set(config.options):
        return f"{config.backend} has the options {', '.join(invented)} here, not {', '.join(config.options)}"
    provider = plugins.load("workloads", space.workload.provider)
    return domains.unfit(config.backend, provider) or configs.unavailable(config, hw)
