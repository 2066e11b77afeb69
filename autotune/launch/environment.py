"""From a configuration to the exact environment of its processes: shared by launching, exporting and applying."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from autotune.core import plugins, variables
from autotune.core.config import Config, Placement
from autotune.core.errors import MachineError, PluginError
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import layout

JOINED = {"GLIBC_TUNABLES": ":", "MALLOC_CONF": ","}
"""Variables that are lists, with their separators: several owners may add to one."""


def patch(config: Config, hw: Hardware) -> LaunchPatch:
    """The merged patch of all knobs and the backend; PluginError if two of them set the same variable."""
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    hw = hw.seen_by(config.interpreter)
    asked = [(name, plugins.load("knobs", name).launch(value, hw)) for name, value in sorted(config.knobs.items())]
    return merge([*asked, (config.backend, backend.launch(options, config, hw))])


def merge(patches: Iterable[tuple[str, LaunchPatch]]) -> LaunchPatch:
    """Named patches as one; PluginError names both owners of a variable that is set twice."""
    env: dict[str, str | None] = {}
    owners: dict[str, str] = {}
    preload: list[str] = []
    prefix: list[str] = []
    for owner, asked in patches:
        for name, value in asked.env.items():
            before = env.get(name)
            if name in JOINED and before and value:
                env[name] = f"{before}{JOINED[name]}{value}"
                continue
            if name in env:
                raise PluginError(f"{owners[name]} and {owner} both set {name}: {before!r} and {value!r}")
            env[name] = value
            owners[name] = owner
        preload += [path for path in asked.preload if path not in preload]
        prefix += asked.argv_prefix
    return LaunchPatch(env=env, preload=tuple(preload), argv_prefix=tuple(prefix))


def apply(asked: LaunchPatch, environ: Mapping[str, str], cache: str, named: Collection[str] = ()) -> dict[str, str]:
    """The whole environment of a measured process: what it inherits and what the space file names, changed as asked."""
    return changed(asked, variables.handed_on(environ, named), cache)


def changed(asked: LaunchPatch, environ: Mapping[str, str], cache: str) -> dict[str, str]:
    """An environment as it is asked for; `cache` takes the place of `{cache}`."""
    env = dict(environ)
    for name, value in asked.env.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value.replace("{cache}", cache)
    if asked.preload:
        env["LD_PRELOAD"] = ":".join(asked.preload)
    return env


def prefix(asked: tuple[str, ...], placement: Placement, hw: Hardware) -> tuple[str, ...]:
    """The words before a worker's program, with the NUMA nodes of its CPUs in place of `{node}`."""
    nodes = ",".join(str(node) for node in sorted({cpu.node for cpu in hw.cpus if cpu.id in placement.cpus}))
    return tuple(word.replace("{node}", nodes) for word in asked)


def placements(config: Config, hw: Hardware) -> tuple[Placement, ...]:
    """The CPUs of each worker of the configuration; MachineError if they do not fit."""
    if reason := layout.unavailable(str(config.layout), hw):
        raise MachineError(f"the layout {reason}")
    return layout.placements(str(config.layout), hw)
