"""The values of one setting: a single value, a list, a range or `auto`, each of the type that its plugin declares."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect

from autotune.core import plugins
from autotune.core.errors import did_you_mean
from autotune.core.struct import Value
from autotune.space import ranges
from autotune.space.yaml_nodes import Node, written

Count = Annotated[int, msgspec.Meta(ge=1)]
Seed = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[
    str,
    msgspec.Meta(
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="letters, digits, '.', '_' and '-', a letter or digit first",
    ),
]


def values(node: Node, kind: Any, auto: tuple[Value, ...] | None = None) -> tuple[Any, ...]:
    """The values of the setting, in the order written; SpaceError for what is not legal, empty or written twice.

    `auto` is what the word stands for, None where it stands for nothing; in a list it is an ordinary text.
    """
    if node.value == "auto":
        if auto is None:
            raise node.error(f"{node.key} has no 'auto'", f"; allowed: {legal(kind)}")
        return auto
    if isinstance(node.value, dict):
        found = tuple(_converted(node, number, kind) for number in _range(node))
    elif isinstance(node.value, tuple):
        found = tuple(one(item, kind) for item in node.value)
    else:
        return (one(node, kind),)
    if not found:
        raise node.error(f"{node.key} is an empty list", f"; write at least one value: {legal(kind)}")
    seen: set[tuple[type, Value]] = set()
    for value in found:
        if (type(value), value) in seen:
            raise node.error(f"{node.key} has {written(value)} twice", "; write each value once")
        seen.add((type(value), value))
    return found


def one(node: Node, kind: Any) -> Any:
    """The setting's only value, of the declared type; SpaceError names what was got and what is legal."""
    if isinstance(node.value, tuple | dict):
        raise node.error(f"{node.key} is {node.written}", f"; write one value: {legal(kind)}")
    return _converted(node, node.value, kind)


def knob(name: str) -> Any:
    """The type of a knob's values."""
    return plugins.load("knobs", name).Value


def illegal(name: str, value: Value) -> str | None:
    """The legal values of a knob, in words, where this value is none of them; None where it is."""
    try:
        msgspec.convert(value, knob(name))
    except msgspec.ValidationError:
        return legal(knob(name))
    return None


def kinds(options: Any) -> dict[str, Any]:
    """The options of a plugin's `Options` by name, each with the type of its values."""
    return {field.name: field.type for field in msgspec.structs.fields(options)}


def choices(kind: Any) -> tuple[Value, ...] | None:
    """All values of a type that has few: those of its Literal in the order written, or false and true."""
    if kind is bool:
        return (False, True)
    return get_args(kind) if get_origin(kind) is Literal else None


def legal(kind: Any) -> str:
    """The legal values of a type in words: `float32, int8`, `true, false`, `a whole number from 1`."""
    return _words(inspect.type_info(kind))


def _converted(node: Node, value: Any, kind: Any) -> Any:
    candidates = [value]
    if isinstance(value, float) and value.is_integer():
        candidates.append(int(value))  # 1e3 is a whole number to people
    for candidate in candidates:
        try:
            return msgspec.convert(candidate, kind)
        except msgspec.ValidationError:
            pass
    hint = f"; allowed: {legal(kind)}"
    if isinstance(value, str) and isinstance(info := inspect.type_info(kind), inspect.LiteralType):
        near = did_you_mean(value, [str(name) for name in info.values])
        hint += near if near.startswith("; did you mean") else ""
    raise node.error(f"{node.key} is {written(value)}", hint)


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.LiteralType(values=names):
            return ", ".join(str(name) for name in names)
        case inspect.BoolType():
            return "true, false"
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _bounds(low, high)
        case inspect.FloatType(ge=low, le=high):
            return "a number" + _bounds(low, high)
        case inspect.NoneType():
            return "null"
        case inspect.UnionType(types=types):
            return " or ".join(_words(inner) for inner in types)
    return "text"


def _bounds(low: float | None, high: float | None) -> str:
    return ("" if low is None else f" from {low}") + ("" if high is None else f" up to {high}")


def _range(node: Node) -> tuple[int | float, ...]:
    """The numbers of a range, written out; SpaceError for one that is not legal or too long."""
    parts = node.section(("low", "high", "step", "log"))
    for name in ("low", "high"):
        if name not in parts:
            raise node.error(f"{node.key} has no {name!r}", "; write {low: 1, high: 8}, or with step: 2 or log: true")
    low, high = (one(parts[name], float) for name in ("low", "high"))
    step = one(parts["step"], float) if "step" in parts else None
    log = one(parts["log"], bool) if "log" in parts else False
    if mistake := ranges.mistake(low, high, step, log):
        what, remedy = mistake
        raise node.error(f"{node.key} has {what}", f"; {remedy}")
    numbers = ranges.expand(low, high, step=step or 1, log=log)
    if numbers is None:
        too_long = f"{node.key} has more than {ranges.MAX_RANGE} values"
        raise node.error(too_long, "; write a larger step, log: true or a list")
    return numbers
