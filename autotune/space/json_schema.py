"""The JSON Schema of a space file, made from the plugins, so that an editor completes and checks what they declare."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from autotune.analysis.metrics import METRICS
from autotune.core import plugins
from autotune.core.interfaces import Backend, Provider
from autotune.core.space_types import TimeLimits
from autotune.core.struct import Value
from autotune.core.workload_spec import Allowed, Dtype, Precision
from autotune.models import data
from autotune.space.values import Count, Name, Seed, choices, kinds, knob
from autotune.space.workload_section import LIMITS, Delay, Variable

Schema = dict[str, Any]


def schema() -> Schema:
    """The schema (draft 2020-12) as plain data, the same on every machine."""
    count = msgspec.json.schema(Count)
    knobs = {name: _knob(name) for name in plugins.names("knobs")}
    searched = {"batch_size": _searched(count, auto=False), "workers": _searched(count), "threads": _searched(count)}
    searched |= {name: _searched(value) for name, value in knobs.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A search space of autotune",
        **_object(
            {
                "name": msgspec.json.schema(Name),
                "workload": {"anyOf": [_workload(name) for name in plugins.names("workloads")]},
                "objective": _objective(),
                "constraints": _section({name: _limit(metric.description) for name, metric in METRICS.items()}),
                "prices": {
                    "type": "string",
                    "description": "a YAML file: currency, date, and per_hour by instance type",
                },
                "search": _section({**searched, "backend": _backends(searched=True)}),
                "baseline": _section({"batch_size": count, **knobs, "backend": _backends(searched=False)}),
                "budget": _section({"trials": count, "minutes": {"type": "number", "exclusiveMinimum": 0}}),
                "limits": _section(_limits()),
            },
            required=("name", "workload", "search"),
        ),
        "$defs": {"range": _range(), "input": _input(), "constant": _constant()},
    }


def _limits() -> dict[str, Schema]:
    """Seconds, by what may take so long."""
    seconds: Schema = {"type": "number", "exclusiveMinimum": 0}
    described = {
        "build_s": "the longest time that your own code may take to build the model; it may wait for a network",
        "prepare_s": "the longest time of an export or a conversion",
        "setup_s": "the longest time for loading a model that is measured",
        "idle_s": "a child that neither answers nor uses the CPU for so long hangs, except in your own code",
    }
    return {name: seconds | {"description": described[name]} for name in TimeLimits.__struct_fields__}


def _objective() -> Schema:
    """One metric, or several as a Pareto front."""
    name = {"enum": [name for name, metric in METRICS.items() if metric.objective]}
    return {"anyOf": [name, {"type": "array", "items": name, "minItems": 1, "uniqueItems": True}]}


def _limit(description: str) -> Schema:
    bound: Schema = {"type": "number"}
    limit = _object({"min": bound, "max": bound, "unjudged": {"enum": ["accept", "reject"]}})
    return limit | {"anyOf": [{"required": ["min"]}, {"required": ["max"]}], "description": description}


def _range() -> Schema:
    number: Schema = {"type": "number"}
    step: Schema = {"type": "number", "exclusiveMinimum": 0}
    return _object({"low": number, "high": number, "step": step, "log": {"type": "boolean"}}, required=("low", "high"))


def _searched(value: Schema, *, auto: bool = True) -> Schema:
    """One value, a list of them, a range of numbers, or the word `auto`."""
    forms = [value, {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}]
    if value.get("type") in ("integer", "number"):
        forms.append({"$ref": "#/$defs/range"})
    if auto:
        forms.append({"const": "auto"})
    return {"anyOf": forms}


def _backends(*, searched: bool) -> Schema:
    """Backends with their options; a baseline has one backend and one value for each option."""
    found = _object({name: _backend(name, searched=searched) for name in plugins.names("backends")})
    return found | {"minProperties": 1} | ({} if searched else {"maxProperties": 1})


def _backend(name: str, *, searched: bool) -> Schema:
    backend = plugins.load("backends", name)
    described = {"description": inspect.cleandoc(backend.Options.__doc__ or "")}
    if getattr(backend, "free", False):
        value = msgspec.json.schema(Value)
        invented = {"additionalProperties": _searched(value, auto=False) if searched else value}
        return _section({}) | invented | described
    options = _options(backend)
    if searched:
        known = {option for option, kind in kinds(backend.Options).items() if choices(kind) is not None}
        auto = set(options) if hasattr(backend, "domains") else known
        options = {option: _searched(value, auto=option in auto) for option, value in options.items()}
    return _section(options) | described


def _workload(name: str) -> Schema:
    provider = plugins.load("workloads", name)
    properties: dict[str, Schema] = {
        "model": {"type": "string", "pattern": f"^{name}:.+"},
        "inputs": {"type": "array", "items": {"$ref": "#/$defs/input"}, "contains": _batched()},
        "allow": _searched(msgspec.json.schema(Allowed), auto=False),
        "seed": msgspec.json.schema(Seed),
        "env": _env(),
        **_options(provider),
    }
    if provider.form != "command":
        properties["data"] = _data(properties["inputs"])
        properties["inputs"] = {"anyOf": [properties["inputs"], *_unlabelled(properties["inputs"])]}
        properties["serving"] = _serving()
    if provider.form == "module":
        about = {"description": "of a torch module in half precision: made float32, or kept"}
        properties["precision"] = msgspec.json.schema(Precision) | about
    own = provider.form == "command" or hasattr(provider, "examples")
    described = {"description": inspect.cleandoc(provider.Options.__doc__ or "")}
    return _object(properties, required=("model",)) | _inputs(own) | described


def _input() -> Schema:
    """One input: drawn or fed back, with its shape; or a constant."""
    size = {"anyOf": [{"const": "batch"}, msgspec.json.schema(Count)]}
    shape: Schema = {"type": "array", "items": size, "description": "batch stands for the batch size, in any place"}
    bound: Schema = {"type": "number"}
    text: Schema = {"type": "string"}
    dtype = msgspec.json.schema(Dtype)
    output: Schema = {"type": ["string", "integer"], "description": "the output that is this input of the next call"}
    drawn = {"shape": shape, "dtype": dtype, "low": bound, "high": bound, "name": text, "from": output}
    constant = {"value": {"$ref": "#/$defs/constant"}, "dtype": dtype, "name": text}
    return {"anyOf": [_object(drawn, required=("shape",)), _object(constant, required=("value",))]}


def _batched() -> Schema:
    """An input with the batch in its shape."""
    return {"required": ["shape"], "properties": {"shape": {"contains": {"const": "batch"}}}}


def _constant() -> Schema:
    """A number, or numbers in lists of any depth."""
    several = {"type": "array", "items": {"$ref": "#/$defs/constant"}, "minItems": 1}
    return {"anyOf": [{"type": ["number", "boolean"]}, several]}


def _inputs(own: bool) -> Schema:
    """Inputs or data, but not both; neither where the provider knows its own."""
    if own:
        return {"not": {"required": ["inputs", "data"]}}
    return {"oneOf": [{"required": ["inputs"]}, {"required": ["data"]}]}


def _unlabelled(described: Schema) -> list[Schema]:
    """Samples without labels: their source alone, or with how many are used and the inputs that they are of."""
    count = msgspec.json.schema(Count)
    kinds_of_source = "a .npz file, file.py:function, a folder of images, or a .txt file of texts"
    source: Schema = {"type": "string", "minLength": 1, "description": kinds_of_source}
    several = {"source": source, "samples": count, "calibration": count, "described": described}
    return [source, _object(several, ("source",))]


def _env() -> Schema:
    """The names of variables, one or several."""
    described = {"description": "variables of the shell that the model's code reads; PYTHONPATH, too"}
    return _searched(msgspec.json.schema(Variable), auto=False) | described


def _data(described: Schema) -> Schema:
    """Labelled samples: their source alone, or with the metric, how many are used and the inputs that they are of."""
    count = msgspec.json.schema(Count)
    source: Schema = {"type": "string", "pattern": "\\.npz$|:", "description": "a .npz file, or file.py:function"}
    metric: Schema = {
        "type": "string",
        "pattern": f"^({'|'.join(data.METRICS)})$|:",
        "description": "or file.py:function",
    }
    used = {"samples": count, "calibration": count, "described": described}
    several = _object({"source": source, "metric": metric, **used}, ("source",))
    return {"anyOf": [source, several], "description": "labelled samples to judge the answers by"}


def _serving() -> Schema:
    """One latency, and how long a batch may wait for more requests."""
    limit: Schema = {"type": "number", "exclusiveMinimum": 0}
    found = _object({**dict.fromkeys(LIMITS, limit), "queue_delay_ms": msgspec.json.schema(Delay)})
    described = {"description": "requests arrive by themselves: the latency that a percentile of them may have"}
    return found | {"oneOf": [{"required": [name]} for name in LIMITS]} | described


def _knob(name: str) -> Schema:
    """The knob's values, with the first line of its module's documentation."""
    documentation = inspect.cleandoc(plugins.load("knobs", name).__doc__ or "")
    return {"description": documentation.partition("\n")[0], **msgspec.json.schema(knob(name))}


def _options(plugin: Backend | Provider) -> dict[str, Schema]:
    return {option: msgspec.json.schema(kind) for option, kind in kinds(plugin.Options).items()}


def _object(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _section(properties: Mapping[str, Schema]) -> Schema:
    """A mapping that may also be left empty."""
    return _object(properties) | {"type": ["object", "null"]}
