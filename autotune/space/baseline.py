"""The `baseline` of a space file: the configuration that every speed-up is over."""

from __future__ import annotations

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.interfaces import Provider
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.space import configs
from autotune.space.domains import unfit
from autotune.space.values import Count, kinds, knob, one
from autotune.space.yaml_nodes import Node


def load(node: Node, domains: Domains, provider: Provider, hw: Hardware) -> Config:
    """The plain model with the changes written, one value for each setting; SpaceError if it cannot run here.

    Options that a space file invents have no other default than the first value written.
    """
    knobs = plugins.names("knobs")
    parts = node.section(("batch_size", "backend", *knobs), "knob")
    backend, options = provider.plain, {}
    if getattr(plugins.load("backends", backend), "free", False):
        options = {name: found[0] for name, found in domains.backends[backend].items()}
    if "backend" in parts:
        backends = parts["backend"].section(plugins.names("backends"), "backend")
        if len(backends) != 1:
            raise parts["backend"].error(f"baseline.backend names {len(backends)} backends", "; write one")
        ((backend, part),) = backends.items()
        if reason := unfit(backend, provider):
            raise parts["backend"].error("the baseline cannot be used here", f"; {reason}")
        legal = kinds(plugins.load("backends", backend).Options) or dict.fromkeys(options, Value)
        options |= {
            name: one(value, legal[name]) for name, value in part.section(tuple(legal), f"{backend} option").items()
        }
    config = configs.configure(
        hw,
        batch_size=one(parts["batch_size"], Count) if "batch_size" in parts else domains.batch_size[0],
        backend=backend,
        options=options,
        knobs={name: one(parts[name], knob(name)) for name in knobs if name in parts},
    )
    if reason := configs.unavailable(config, hw):
        raise node.error("the baseline cannot be used here", f"; {reason}; write another under 'baseline'")
    return config
