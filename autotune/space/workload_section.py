"""The `workload` of a space file: the provider and its model, the provider's own options, inputs or data, and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec

from autotune.core import plugins
from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Provider
from autotune.core.machine import Hardware
from autotune.core.results import Percentile
from autotune.core.variables import READ_BY_RUNTIMES
from autotune.core.workload_spec import Allowed, DataSpec, InputSpec, Precision, ServingSpec, WorkloadSpec
from autotune.models import data, sources
from autotune.space import input_section
from autotune.space.values import Count, Seed, kinds, one, values
from autotune.space.yaml_nodes import Node

Delay = Annotated[float, msgspec.Meta(ge=0)]
Variable = Annotated[
    str,
    msgspec.Meta(
        pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="the name of a variable, without its value: MODEL_DIR"
    ),
]
LIMITS: dict[str, Percentile] = {f"latency_{name}_ms": name for name in get_args(Percentile)}
"""The keys of `serving` that say which percentile is to be kept."""

UNLABELLED = 200
"""The rows without labels to judge, where the file does not say how many."""


def load(node: Node, folder: Path, hw: Hardware) -> WorkloadSpec:
    """The spec that the section describes; SpaceError names file, line, key and what is allowed."""
    model, provider, name = _model(node)
    module = plugins.load("workloads", provider)
    own = ("precision",) if module.form == "module" else ()
    parts = node.section(("model", "inputs", "data", "seed", "serving", "allow", "env", *own, *kinds(module.Options)))
    options = _options(node, parts, provider, folder)
    if reason := module.unavailable(options, hw):
        raise model.error(f"workload.model {model.written} cannot be used here", f"; {reason}")
    try:
        name = module.resolve(name, folder) if hasattr(module, "resolve") else name
    except ModelError as error:
        raise model.error(f"workload.model {model.written} cannot be used", f"; {error}") from error
    if "data" in parts and "inputs" in parts:
        raise parts["inputs"].error("workload has both 'inputs' and 'data'", "; write one: the data holds the inputs")
    samples = _samples(parts, folder, module)
    return WorkloadSpec(
        model=f"{provider}:{name}",
        inputs=_given_inputs(module, parts.get("inputs"), node) if samples is None else _described(parts),
        options=msgspec.structs.asdict(options),
        seed=one(parts["seed"], Seed) if "seed" in parts else 0,
        data=samples,
        serving=_serving(parts["serving"], module) if "serving" in parts else None,
        allow=values(parts["allow"], Allowed) if "allow" in parts else (),
        precision=one(parts["precision"], Precision) if "precision" in parts else "float32",
        env=_env(parts["env"]) if "env" in parts else (),
    )


def _model(node: Node) -> tuple[Node, str, str]:
    """The node `model`, and the provider and the model's name that it names."""
    model = node.value.get("model") if isinstance(node.value, dict) else None
    if model is None:
        raise node.error("workload has no 'model'", "; write one such as model: torchvision:resnet50")
    provider, _, name = str(one(model, str)).partition(":")
    providers = plugins.names("workloads")
    if provider not in providers:
        hint = (
            did_you_mean(provider, providers)
            if name
            else (f"; write where it comes from, too, such as torchvision:{provider}")
        )
        raise model.error(f"unknown provider {provider!r} of workload.model", hint)
    if not name:
        raise model.error(f"workload.model is {model.written}", f"; write {provider}: and the model's name")
    return model, provider, name


def _options(node: Node, parts: dict[str, Node], provider: str, folder: Path) -> Any:
    """The provider's own options, those that name files as absolute paths."""
    module = plugins.load("workloads", provider)
    given = {option: one(parts[option], kind) for option, kind in kinds(module.Options).items() if option in parts}
    for option in getattr(module, "paths", ()):
        if given.get(option) is not None:
            given[option] = _file(parts[option], folder)
        elif (default := getattr(module.Options(), option)) is not None:
            given[option] = str((folder / default).resolve())
    try:
        return msgspec.convert(given, module.Options)
    except msgspec.ValidationError as error:
        raise node.error(f"workload does not fit {provider}: {error}") from None


def _given_inputs(provider: Any, inputs: Node | None, workload: Node) -> tuple[InputSpec, ...]:
    """The inputs that the file names, else those of the provider; none where it makes them itself in a child."""
    if inputs is not None:
        return input_section.load(inputs)
    if hasattr(provider, "examples") or provider.form == "command":
        return ()
    return input_section.load(workload)


def _file(node: Node, folder: Path) -> str:
    path = folder / str(node.value)
    if not path.exists():
        raise node.error(f"{node.key} names the missing file {node.written}", f"; looked for in {folder.resolve()}")
    return str(path.resolve())


def _env(node: Node) -> tuple[str, ...]:
    """The names of variables; none of a setting that a study makes itself."""
    if isinstance(node.value, dict):
        raise node.error(f"{node.key} is a mapping", "; write names alone, such as [MODEL_DIR]: values are the shell's")
    names = values(node, Variable)
    for name in names:
        if name.startswith(READ_BY_RUNTIMES):
            raise node.error(f"{node.key} has {name}, which changes what is measured", "; what may vary is searched")
    return names


def _serving(node: Node, provider: Provider) -> ServingSpec:
    """One latency that a percentile keeps, above the time that a batch may wait for more requests."""
    if provider.form == "command":
        raise node.error(f"{node.key} beside a command", "; only a model in autotune's own workers answers requests")
    parts = node.section((*LIMITS, "queue_delay_ms"))
    given = [name for name in LIMITS if name in parts]
    if len(given) != 1:
        got = " and ".join(given) or "no latency"
        raise node.error(f"{node.key} has {got}", f"; write one of {', '.join(LIMITS)}")
    limit = parts[given[0]]
    latency_ms = one(limit, float)
    if latency_ms <= 0:
        raise limit.error(f"{limit.key} is {limit.written}", "; write milliseconds above 0")
    delay = parts.get("queue_delay_ms")
    delay_ms = one(delay, Delay) if delay is not None else 0.0
    if delay is not None and delay_ms >= latency_ms:
        raise delay.error(f"{delay.key} is {delay.written}", f"; write less than {given[0]}, {limit.written}")
    return ServingSpec(latency_ms=latency_ms, percentile=LIMITS[given[0]], queue_delay_ms=delay_ms)


def _samples(parts: Mapping[str, Node], folder: Path, provider: Provider) -> DataSpec | None:
    """Real samples: labelled ones under `data`, others under `inputs`; None where the file names none."""
    if "data" in parts:
        return _data(parts["data"], folder, provider)
    inputs = parts.get("inputs")
    if inputs is not None and (isinstance(inputs.value, str | dict)):
        return _unlabelled(inputs, folder, provider)
    return None


def _data(node: Node, folder: Path, provider: Provider) -> DataSpec:
    """Labelled samples: their source alone, or a mapping of it and how they are used."""
    source, parts = _source(node, ("metric", "described"), "digits.npz", provider)
    metric = parts.get("metric")
    return DataSpec(
        source=_found(source, lambda name, folder: sources.resolve(name, folder, labelled=True), folder),
        metric=_found(metric, data.resolve_metric, folder) if metric else "accuracy",
        **_counts(parts),
    )


def _unlabelled(node: Node, folder: Path, provider: Provider) -> DataSpec:
    """Samples without labels, of which fewer are judged: their source alone, or a mapping of it and their numbers."""
    source, parts = _source(node, ("described",), "images.npz", provider)
    found = _found(source, lambda name, folder: sources.resolve(name, folder, labelled=False), folder)
    return DataSpec(source=found, metric=None, **{"samples": UNLABELLED, **_counts(parts)})


def _described(parts: Mapping[str, Node]) -> tuple[InputSpec, ...]:
    """The inputs that are described beside the source of their values, labelled or not."""
    source = next((parts[name].value for name in ("inputs", "data") if name in parts), None)
    if not isinstance(source, dict) or "described" not in source:
        return ()
    node = source["described"]
    found = input_section.load(node)
    if not any(one.drawn and one.batch_axis is not None for one in found):
        raise node.error(f"{node.key} leaves the source nothing to give", "; a shape with batch, no value and no from")
    return found


def _source(node: Node, more: tuple[str, ...], example: str, provider: Provider) -> tuple[Node, Mapping[str, Node]]:
    """The node that names the source, and what stands beside it."""
    if provider.form == "command":
        raise node.error(f"{node.key} beside a command", "; nobody sees what a program answers")
    if not isinstance(node.value, dict):
        return node, {}
    parts = node.section(("source", *more, "samples", "calibration"))
    if "source" not in parts:
        raise node.error(f"{node.key} has no 'source'", f"; write such as source: {example}")
    return parts["source"], parts


def _counts(parts: Mapping[str, Node]) -> dict[str, int]:
    return {name: one(parts[name], Count) for name in ("samples", "calibration") if name in parts}


def _found(node: Node, resolve: Callable[[str, Path], str], folder: Path) -> str:
    try:
        return resolve(one(node, str), folder)
    except ModelError as error:
        raise node.error(f"{node.key} {node.written} cannot be used", f"; {error}") from error
