"""Configurations: canonical ones from names and values, and why one cannot be honoured on a machine."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from autotune.core import packages, plugins
from autotune.core.config import Config, Layout, WorkloadSettings
from autotune.core.errors import SpaceError, did_you_mean
from autotune.core.machine import OWN, Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Value

NOWHERE = Hardware(architecture="", cpu_model="", isa=(), cpus=(), allowed_cpus=(), memory_bytes=0)
"""For what is the same on every machine: the defaults of all knobs but the layout."""


def configure(
    hw: Hardware,
    *,
    batch_size: int,
    backend: str,
    options: Mapping[str, Value] = {},
    knobs: Mapping[str, Value] = {},
) -> Config:
    """The canonical configuration, defaults filled in; SpaceError for unknown names and illegal options."""
    for name in knobs:
        if name not in plugins.names("knobs"):
            raise SpaceError(f"unknown knob {name!r}{did_you_mean(name, plugins.names('knobs'))}")
    try:
        filled = plugins.backend_options(backend, dict(options))
    except msgspec.ValidationError as error:
        raise SpaceError(f"options of {backend} that are not legal: {error}") from None
    return Config(
        workload=WorkloadSettings(batch_size=batch_size),
        backend=backend,
        options=msgspec.structs.asdict(filled),
        knobs={
            name: knobs[name] if name in knobs else plugins.load("knobs", name).default(hw)
            for name in plugins.names("knobs")
        },
    )


def only_batch_size(domains: Domains, baseline: Config) -> int | None:
    """The only batch size of a space and its baseline; None if there are several."""
    sizes = {*domains.batch_size, baseline.workload.batch_size}
    return sizes.pop() if len(sizes) == 1 else None


def unavailable(config: Config, hw: Hardware) -> str | None:
    """Why a configuration cannot be honoured here, or None: single values may only fail, or do nothing, together."""
    options = plugins.backend_options(config.backend, dict(config.options))
    backend = plugins.load("backends", config.backend)
    if not hw.has(config.interpreter):
        return f"interpreter: {plugins.load('knobs', 'interpreter').unavailable(config.interpreter, hw)}"
    if reason := backend.unavailable(options, hw.seen_by(config.interpreter)):
        where = "" if config.interpreter == OWN else f" in the environment {config.interpreter}"
        return f"{config.backend}{where}: {reason}"
    if hasattr(backend, "without_effect") and (reason := backend.without_effect(options, config)):
        return f"{config.backend}: {reason}"
    for name, value in config.knobs.items():
        reason = plugins.load("knobs", name).unavailable(value, hw) or _without_effect(name, config)
        if reason:
            return f"{name}: {reason}"
    return None


def canonical(config: Config, hw: Hardware) -> Config:
    """The configuration with every knob that changes nothing in it at its default, so that equal ones are one.

    Putting one back may leave another without effect: Intel's block time beside another OpenMP runtime.
    """
    while idle := [name for name in config.knobs if _without_effect(name, config) is not None]:
        defaults = {name: plugins.load("knobs", name).default(hw) for name in idle}
        if all(config.knobs[name] == default for name, default in defaults.items()):
            break
        config = msgspec.structs.replace(config, knobs=config.knobs | defaults)
    return config


def completed(config: Config) -> Config:
    """A configuration of an earlier version of autotune, with the defaults of the settings that it did not know.

    ValueError without a legal layout, msgspec.ValidationError for illegal options, PluginError for an unknown backend.
    """
    if "layout" not in config.knobs:
        raise ValueError("a configuration has no layout")
    Layout.parse(str(config.knobs["layout"]))
    knobs = {name: plugins.load("knobs", name).default(NOWHERE) for name in plugins.names("knobs") if name != "layout"}
    filled = plugins.backend_options(config.backend, dict(config.options))
    options = msgspec.structs.asdict(filled)
    return msgspec.structs.replace(config, knobs=knobs | config.knobs, options=options)


def _without_effect(name: str, config: Config) -> str | None:
    backend = plugins.load("backends", config.backend)
    # Any program may hold anything.
    used = packages.named() if "command" in backend.runs else backend.packages
    return plugins.load("knobs", name).without_effect(config.knobs[name], config, used)
