"""Every struct of autotune, and arbitrary values of each."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import msgspec
from hypothesis import reject
from hypothesis import strategies as st
from msgspec import inspect

import autotune
from autotune.core.struct import Struct

IN_MEMORY = {"autotune.hardware.cgroups.Limits", "autotune.space.yaml_nodes.Node"}
"""Never written to a file nor sent to a process."""


def every() -> list[type[Struct]]:
    """All subclasses of Struct in the package that are written, sorted by their names."""
    for module in pkgutil.walk_packages(autotune.__path__, "autotune."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, rest = set[type[Struct]](), [Struct]
    while rest:
        kinds = rest.pop().__subclasses__()
        found.update(kinds)
        rest += kinds
    ours = [kind for kind in found if name(kind).startswith("autotune.") and name(kind) not in IN_MEMORY]
    return sorted(ours, key=name)


def name(kind: type[Struct]) -> str:
    """`autotune.core.config.Config`."""
    return f"{kind.__module__}.{kind.__qualname__}"


def values(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """Values of a struct with any of its fields at its default."""
    return _values(inspect.type_info(kind))


def _values(info: inspect.Type) -> st.SearchStrategy[Any]:
    if isinstance(info, inspect.StructType):
        required = {field.name: _values(field.type) for field in info.fields if field.required}
        optional = {field.name: _values(field.type) for field in info.fields if not field.required}
        return st.fixed_dictionaries(required, optional=optional).map(lambda fields: _made(info.cls, fields))
    if isinstance(info, inspect.UnionType):
        return st.one_of(*map(_values, info.types))
    if isinstance(info, inspect.LiteralType):
        return st.sampled_from(info.values)
    if isinstance(info, inspect.EnumType):
        return st.sampled_from(list(info.cls))
    if isinstance(info, inspect.ListType):
        return st.lists(st.integers(-9, 9), max_size=2)  # of numbers, or lists of them
    if isinstance(info, inspect.VarTupleType):
        return st.lists(_values(info.item_type), max_size=2).map(tuple)
    if isinstance(info, inspect.TupleType):
        return st.tuples(*map(_values, info.item_types))
    if isinstance(info, inspect.DictType):
        return st.dictionaries(_values(info.key_type), _values(info.value_type), max_size=2)
    return _PLAIN[type(info)](info)


_PLAIN: dict[type[inspect.Type], Any] = {
    inspect.BoolType: lambda _: st.booleans(),
    inspect.NoneType: lambda _: st.none(),
    inspect.StrType: lambda info: st.text(max_size=4) if info.pattern is None else st.from_regex(info.pattern),
    inspect.IntType: lambda info: st.integers(**{"min_value": -(2**63), "max_value": 2**63 - 1} | _bounds(info)),
    inspect.FloatType: lambda info: st.floats(
        allow_nan=False,
        allow_infinity=False,
        exclude_min=info.gt is not None,
        exclude_max=info.lt is not None,
        **_bounds(info),
    ),
}


def _bounds(info: inspect.IntType | inspect.FloatType) -> dict[str, Any]:
    """The least and the largest value; of integers, those beside an open bound."""
    step = 1 if isinstance(info, inspect.IntType) else 0
    low = info.ge if info.gt is None else info.gt + step
    high = info.le if info.lt is None else info.lt - step
    return {name: bound for name, bound in (("min_value", low), ("max_value", high)) if bound is not None}


def _made(kind: type[Any], given: dict[str, Any]) -> Any:
    try:
        return kind(**given)
    except ValueError:  # a struct that checks itself
        reject()


def decoded(value: msgspec.Struct, kind: Any) -> Any:
    """The value after a way through JSON."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def fields(value: msgspec.Struct) -> dict[str, Any]:
    """The value's JSON object."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found
