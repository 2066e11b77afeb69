"""The difference of a configuration from the baseline, setting by setting, and configurations in between."""

from __future__ import annotations

import math
from collections.abc import Collection

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.struct import Struct, Value
from autotune.space import configs

BATCH_SIZE = "batch_size"
BACKEND = "backend"


class Change(Struct):
    """A setting's value in a configuration, and what stands in for it where the setting is put back.

    An option that the baseline's backend does not have is put back to its backend's own default.
    """

    setting: str
    value: Value
    instead: Value

    @property
    def option(self) -> bool:
        """True for an option, which goes with its backend."""
        return "." in self.setting


def changes(config: Config, baseline: Config) -> tuple[Change, ...]:
    """Every setting in which the two differ: batch size, knobs, backend, then the backend's options."""
    found = [Change(setting=BATCH_SIZE, value=config.workload.batch_size, instead=baseline.workload.batch_size)]
    found += [Change(setting=name, value=value, instead=baseline.knobs[name]) for name, value in config.knobs.items()]
    found.append(Change(setting=BACKEND, value=config.backend, instead=baseline.backend))
    for name, value in config.options.items():
        plain = _plain(name, config, baseline)
        found.append(Change(setting=f"{config.backend}.{name}", value=value, instead=plain))
    return tuple(change for change in found if change.value != change.instead)


def simplicity(trial: TrialResult, baseline: Config) -> tuple[float, ...]:
    """The number of settings changed, then the median latency (ms), then the memory (bytes): the least is the simplest.

    What is not known counts as the most.
    """
    latency = math.inf if trial.latency is None else trial.latency.p50_ms
    memory = math.inf if trial.peak_rss_bytes is None else float(trial.peak_rss_bytes)
    return float(len(changes(trial.spec.config, baseline))), latency, memory


def between(config: Config, baseline: Config, applied: Collection[str], hw: Hardware) -> Config:
    """The baseline with some of the changes applied; options only where the backend itself is.

    A knob that then changes nothing is left at its default: an allocator's tuning goes with it.
    """
    differing = {change.setting: change for change in changes(config, baseline)}

    def chosen(setting: str, value: Value) -> Value:
        change = differing.get(setting)
        return value if change is None or setting in applied else change.instead

    backend = str(chosen(BACKEND, config.backend))
    if backend == config.backend:
        options = {name: chosen(f"{backend}.{name}", value) for name, value in config.options.items()}
    else:
        options = dict(baseline.options)
    found = configs.configure(
        hw,
        batch_size=int(chosen(BATCH_SIZE, config.workload.batch_size)),
        backend=backend,
        options=options,
        knobs={name: chosen(name, value) for name, value in config.knobs.items()},
    )
    return configs.canonical(found, hw)


def without(config: Config, baseline: Config, left_out: Collection[str], hw: Hardware) -> Config:
    """The configuration with some of its settings put back; a backend goes with its options."""
    settings = {change.setting for change in changes(config, baseline)}
    return between(config, baseline, settings - set(left_out), hw)


def _plain(name: str, config: Config, baseline: Config) -> Value:
    defaults = plugins.backend_options(config.backend, {})
    # What a space file invented has no default: a command's baseline has the first value written.
    own: Value = getattr(defaults, name) if hasattr(defaults, name) else baseline.options[name]
    if name not in baseline.options:
        return own
    try:
        plugins.backend_options(config.backend, {name: baseline.options[name]})
    except ValueError:  # the same name with other values
        return own
    return baseline.options[name]
