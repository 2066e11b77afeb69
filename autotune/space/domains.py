"""The `search` of a space file as domains: each setting's values that this machine can honour.

A setting that is not named has one value, its default; without `backend` that is the workload's plain one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from autotune.core import plugins
from autotune.core.interfaces import Provider
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains, Exclusion
from autotune.core.struct import Value
from autotune.knobs import layout
from autotune.space.values import Count, choices, kinds, knob, values
from autotune.space.yaml_nodes import Node

MAX_COMBINATIONS = 10_000

FORMS = {"module": "a torch module", "onnx": "an ONNX file", "command": "a command"}

Machines = Sequence[Hardware]
"""The same machine as each interpreter sees it."""

Axes = dict[str, tuple[Value, ...]]
Options = dict[str, Value]


def resolve(
    node: Node, hw: Hardware, provider: Provider, lacking: Mapping[str, str] | None = None
) -> tuple[Domains, tuple[Exclusion, ...]]:
    """Values for every knob and for every option of the backends that run here, and what was left out.

    `lacking` are the interpreters in which the workload cannot be built, with the reasons. A backend counts as usable
    if it is in any of the others. SpaceError for an unknown name, an illegal value, or a setting of which nothing is
    left.
    """
    excluded: list[Exclusion] = []
    names = plugins.names("knobs")
    parts = node.section(("batch_size", "workers", "threads", "backend", *names), "knob")
    lost = {"interpreter": lacking or {}}
    knobs = {name: _knob(name, parts, hw, lost.get(name, {}), excluded) for name in names}
    machines = [hw.seen_by(interpreter) for interpreter in knobs["interpreter"]]
    domains = Domains(
        batch_size=values(parts["batch_size"], Count) if "batch_size" in parts else (1,),
        knobs=knobs,
        backends=_backends(parts.get("backend"), node, machines, provider, excluded),
    )
    return domains, tuple(excluded)


def candidates(name: str, hw: Hardware) -> tuple[Value, ...]:
    """The values of a knob that are worth a word on any machine, those that cannot be had here too."""
    plugin: Any = plugins.load("knobs", name)
    return choices(plugin.Value) or getattr(plugin, "candidates", None) or plugin.domain(hw)


def _knob(
    name: str, parts: Mapping[str, Node], hw: Hardware, lost: Mapping[Any, str], excluded: list[Exclusion]
) -> tuple[Value, ...]:
    if name == "layout" and ("workers" in parts or "threads" in parts):
        return _layouts(parts, hw, excluded)
    plugin = plugins.load("knobs", name)
    if name not in parts:
        return (plugin.default(hw),)

    def why_not(value: Value) -> str | None:
        return plugin.unavailable(value, hw) or lost.get(value)

    found = values(parts[name], knob(name), plugin.domain(hw))
    kept, left_out = _sorted_out(name, found, why_not)
    if not kept:
        raise parts[name].error(f"no value of search.{name} can be used here", _reasons(left_out))
    if parts[name].value == "auto":  # which offers only what can be had, and is to say what it leaves out
        left_out = _sorted_out(name, candidates(name, hw), why_not)[1]
    excluded += left_out
    return kept


def _layouts(parts: Mapping[str, Node], hw: Hardware, excluded: list[Exclusion]) -> tuple[Value, ...]:
    """All pairs that fit; a number of workers or threads that fits with nothing is left out as a layout of its own."""
    if "layout" in parts:
        raise parts["layout"].error("search.layout beside workers or threads", "; write one or the other")
    workers, threads = (values(parts[name], Count, ()) if name in parts else () for name in ("workers", "threads"))
    found = layout.combine(workers or None, threads or None, hw)
    if not found:
        smallest = f"{min(workers, default=1)}x{min(threads, default=1)}"
        node = parts.get("workers") or parts["threads"]
        raise node.error("no pair of search.workers and search.threads fits", f"; {layout.unavailable(smallest, hw)}")
    alone = (*(f"{count}x1" for count in workers), *(f"1x{count}" for count in threads))
    excluded += _sorted_out("layout", alone, lambda text: layout.unavailable(text, hw))[1]
    return found


def _backends(
    node: Node | None, search: Node, machines: Machines, provider: Provider, excluded: list[Exclusion]
) -> dict[str, Axes]:
    if node is None:
        plain = provider.plain
        parts = {plain: Node(value=None, file=search.file, line=search.line, key=f"search.backend.{plain}")}
    else:
        parts = node.section(plugins.names("backends"), "backend")
        if not parts:
            raise node.error("search.backend is empty", f"; allowed: {', '.join(plugins.names('backends'))}")
    kept: dict[str, Axes] = {}
    left_out: list[Exclusion] = []
    for name, part in parts.items():
        if reason := unfit(name, provider):
            left_out.append(Exclusion(setting="backend", value=name, reason=reason))
            continue
        axes = _axes(name, part, machines[0])
        running = _running(name, axes, machines)
        if running is not None:
            kept[name] = _usable(name, axes, running, machines, excluded)
        elif reason := _why_not(name, {option: found[0] for option, found in axes.items()}, machines):
            left_out.append(Exclusion(setting="backend", value=name, reason=reason))
    if not kept:
        raise (node or search).error("no backend of search.backend can be used here", _reasons(left_out))
    excluded += left_out
    return kept


def unfit(name: str, provider: Provider) -> str | None:
    """Why a backend cannot run what a provider gives, or None."""
    runs = plugins.load("backends", name).runs
    if provider.form in runs:
        return None
    return f"{name} runs {' or '.join(FORMS[form] for form in runs)}; the workload is {FORMS[provider.form]}"


def _axes(name: str, node: Node, hw: Hardware) -> Axes:
    """The values of every option as written, its default where it is not named."""
    backend = plugins.load("backends", name)
    if getattr(backend, "free", False):
        invented = tuple(node.value) if isinstance(node.value, dict) else ()
        return {option: values(part, Value) for option, part in node.section(invented).items()}
    legal = kinds(backend.Options)
    parts = node.section(tuple(legal), f"{name} option")
    defaults = msgspec.structs.asdict(plugins.backend_options(name, {}))
    offered = _offered(name, hw)
    return {
        option: values(parts[option], kind, offered.get(option, choices(kind)))
        if option in parts
        else (defaults[option],)
        for option, kind in legal.items()
    }


def options(name: str, machines: Machines) -> tuple[Axes, tuple[Exclusion, ...]] | None:
    """The values of every option of a backend that run here beside some others, and the rest with the reasons.

    None for a backend that runs in none of the interpreters.
    """
    backend = plugins.load("backends", name)
    legal = {} if getattr(backend, "free", False) else kinds(backend.Options)
    offered = _offered(name, machines[0])
    axes = {option: offered.get(option) or choices(kind) or () for option, kind in legal.items()}
    defaults = msgspec.structs.asdict(plugins.backend_options(name, {}))
    axes = {option: found or (defaults[option],) for option, found in axes.items()}
    running = _running(name, axes, machines)
    if running is None:
        return None
    excluded: list[Exclusion] = []
    return _usable(name, axes, running, machines, excluded), tuple(excluded)


def _offered(name: str, hw: Hardware) -> Axes:
    """The values that `auto` stands for, by option, where the backend says it."""
    backend: Any = plugins.load("backends", name)
    return backend.domains(hw) if hasattr(backend, "domains") else {}


def _usable(name: str, axes: Axes, running: Options, machines: Machines, excluded: list[Exclusion]) -> Axes:
    """The axes without the values that run with no other; what fails only beside certain others stays."""
    usable: Axes = {}
    for option, found in axes.items():

        def why_not(value: Value, option: str = option) -> str | None:
            if _running(name, {**axes, option: (value,)}, machines) is not None:
                return None
            return _why_not(name, {**running, option: value}, machines)

        usable[option], left_out = _sorted_out(f"{name}.{option}", found, why_not)
        excluded += left_out
    return usable


def _running(name: str, axes: Axes, machines: Machines) -> Options | None:
    """The first combination of the axes, of the first MAX_COMBINATIONS, that this machine can honour."""
    combinations = itertools.islice(itertools.product(*axes.values()), MAX_COMBINATIONS)
    options = (dict(zip(axes, chosen, strict=True)) for chosen in combinations)
    return next((found for found in options if _why_not(name, found, machines) is None), None)


def _why_not(name: str, options: Options, machines: Machines) -> str | None:
    """The reason in the first interpreter, if there is one in each."""
    chosen = plugins.backend_options(name, dict(options))
    reasons = [plugins.load("backends", name).unavailable(chosen, hw) for hw in machines]
    return None if None in reasons else reasons[0]


def _sorted_out(
    setting: str, found: Iterable[Value], why_not: Callable[[Any], str | None]
) -> tuple[tuple[Value, ...], list[Exclusion]]:
    """The values that can be honoured, and the others with their reasons."""
    judged = [(value, why_not(value)) for value in found]
    kept = tuple(value for value, reason in judged if reason is None)
    return kept, [Exclusion(setting=setting, value=value, reason=reason) for value, reason in judged if reason]


def _reasons(left_out: list[Exclusion]) -> str:
    return "; " + "; ".join(f"{exclusion.value}: {exclusion.reason}" for exclusion in left_out)
