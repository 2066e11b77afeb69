"""The values of one setting: a single value, a list, a range or `auto`, each of the type that its plugin declares.

Ranges are written out when the file is read, so that every setting is a finite choice: `{low, high}` with a `step`
(1 unless given) as low, low + step, … and high; with `log: true` as low, 2·low, 4·low, … and high.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect

from autotune.core import plugins
from autotune.core.errors import did_you_mean
from autotune.core.struct import Value
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
MAX_RANGE = 1024


def values(node: Node, kind: Any, auto: tuple[Value, ...] | None = None) -> tuple[Any, ...]:
    """What the setting may be, in the order written; SpaceError for what is not legal, empty or written twice.

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
    """What a knob may be, in words, where this value is not legal; None where it is."""
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
    parts = node.section(("low", "high", "step", "log"))
    for name in ("low", "high"):
        if name not in parts:
            raise node.error(f"{node.key} has no {name!r}", "; write {low: 1, high: 8}, or with step: 2 or log: true")
    low, high = (one(parts[name], float) for name in ("low", "high"))
    step = one(parts["step"], float) if "step" in parts else None
    log = "log" in parts and one(parts["log"], bool)
    if low > high:
        raise node.error(f"{node.key} has low {low:g} above high {high:g}", "; write the smaller one as low")
    if log and step is not None:
        raise node.error(f"{node.key} has both 'log' and 'step'", "; write one of them")
    if log and low <= 0:
        raise node.error(f"{node.key} has low {low:g} and 'log'", "; write a low above 0")
    if step is not None and step <= 0:
        raise node.error(f"{node.key} has step {step:g}", "; write a step above 0")
    if step is None and not log and not (low.is_integer() and high.is_integer()):
        raise node.error(f"{node.key} is a range of fractions without a step", "; write step: 0.1 or log: true")
    found = expand(low, high, step=step or 1, log=log)
    if found is None:
        raise node.error(f"{node.key} has more than {MAX_RANGE} values", "; write a larger step, log: true or a list")
    return found


def expand(low: float, high: float, *, step: float = 1, log: bool = False) -> tuple[int | float, ...] | None:
    """A range written out, ascending from `low` to `high`, both included; None if it has more than MAX_RANGE values.

    Exact in the decimals as written (0.1, 0.2, 0.3), where binary fractions would drift; whole values are ints.
    `low` <= `high`; `step` and, with `log`, `low` are above 0.
    """
    start, end, stride = (Fraction(str(number)) for number in (low, high, step))
    if log:
        doublings = (start * 2**i for i in range(MAX_RANGE))
        exact = [*itertools.takewhile(lambda number: number < end, doublings), end]
    else:
        steps = min(math.ceil((end - start) / stride), MAX_RANGE)
        exact = [*(start + i * stride for i in range(steps)), end]
    if len(exact) > MAX_RANGE:
        return None
    return tuple(int(number) if number.denominator == 1 else float(number) for number in exact)
