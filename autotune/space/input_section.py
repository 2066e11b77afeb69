"""The `inputs` of a workload: shapes with the batch in any place, constants, states that are fed back."""

from __future__ import annotations

from typing import Any

from autotune.core.workload_spec import Dtype, InputSpec
from autotune.space.values import Count, one
from autotune.space.yaml_nodes import Node

KEYS = ("shape", "dtype", "low", "high", "name", "value", "from")
LIMITS = {"int8": (-(2**7), 2**7), "uint8": (0, 2**8), "int32": (-(2**31), 2**31), "int64": (-(2**63), 2**63)}
"""The bounds of whole numbers by type, the upper one excluded."""

SUCH = "; write such as [batch, 3, 224, 224]"


def load(node: Node) -> tuple[InputSpec, ...]:
    """The inputs in the order written; SpaceError names the one that cannot be meant."""
    if not isinstance(node.value, tuple) or not node.value:
        hint = "; write such as inputs: images.npz, or inputs: [{shape: [batch, 3, 224, 224], dtype: float32}]"
        raise node.error("workload has no 'inputs'", hint)
    found: list[InputSpec] = []
    for item in node.value:
        spec = _input(item)
        if spec.name is not None and spec.name in {other.name for other in found}:
            raise item.error(f"{item.key} is the second input named {spec.name!r}", "; give each its own name")
        found.append(spec)
    if all(spec.batch_axis is None for spec in found):
        raise node.error("no input has 'batch' in its shape", SUCH)
    return tuple(found)


def _input(node: Node) -> InputSpec:
    parts = node.section(KEYS)
    name = str(one(parts["name"], str)) if "name" in parts else None
    if "value" in parts:
        return _constant(parts, name)
    dtype: Dtype = one(parts["dtype"], Dtype) if "dtype" in parts else "float32"
    state = _output(parts["from"]) if "from" in parts else None
    low, high = LIMITS[dtype] if dtype in ("int8", "uint8") else (0, 2)
    bounds = {"low": low, "high": high} | {key: _bound(parts[key], dtype) for key in ("low", "high") if key in parts}
    if bounds["low"] >= bounds["high"]:
        raise node.error(f"{node.key} has low {bounds['low']} and high {bounds['high']}", "; low must be below high")
    return InputSpec(
        shape=_shape(node, parts.get("shape")),
        dtype=dtype,
        **bounds,
        bounded=bool({"low", "high"} & set(parts)) and (state is not None or "float" in dtype),
        name=name,
        state=state,
    )


def _shape(node: Node, shape: Node | None) -> tuple[Any, ...]:
    if shape is None or not isinstance(shape.value, tuple):
        raise (shape or node).error(f"{node.key}.shape is {shape.written if shape else 'missing'}", SUCH)
    sizes = tuple("batch" if size.value == "batch" else one(size, Count) for size in shape.value)
    if sizes.count("batch") > 1:
        raise shape.error(f"{shape.key} has batch twice", SUCH)
    return sizes


def _bound(node: Node, dtype: str) -> int | float:
    """`low` or `high`, which the type must be able to hold."""
    if dtype == "bool":
        raise node.error(f"{node.key} beside dtype bool", "; low and high bound numbers")
    if "float" in dtype:
        return float(one(node, float))
    number, (least, most) = int(one(node, int)), LIMITS[dtype]
    if not least <= number <= most:
        raise node.error(f"{node.key} is {number}", f"; {dtype} lies from {least} up to {most - 1}")
    return number


def _output(node: Node) -> str:
    """The name or number of the output that is fed back."""
    if isinstance(node.value, str) or type(node.value) is int:
        return str(node.value)
    raise node.error(f"{node.key} is {node.written}", "; write an output's number, or its name in quotes")


# ---------------------------------------------------------------------------------------------------------- constants


def _constant(parts: dict[str, Node], name: str | None) -> InputSpec:
    """A number, or numbers in lists; the type is theirs where none is written: bool, int64 or float32."""
    node = parts["value"]
    if other := next((part for key, part in parts.items() if key in ("shape", "low", "high", "from")), None):
        raise other.error(f"{other.key} beside a value", "; a constant has dtype and name alone")
    numbers = list(_numbers(node))
    whole = all(isinstance(number, int) for number in numbers)
    dtype: Dtype = "bool" if all(isinstance(number, bool) for number in numbers) else "int64" if whole else "float32"
    dtype = one(parts["dtype"], Dtype) if "dtype" in parts else dtype
    for number in numbers:
        least, most = LIMITS.get(dtype, (None, None))
        fits = isinstance(number, bool) is (dtype == "bool")
        if least is not None and most is not None:
            fits = fits and isinstance(number, int) and least <= number < most
        if not fits:
            raise node.error(f"{node.key} holds {str(number).lower()}", f"; dtype is {dtype}")
    value, _ = _lists(node)
    return InputSpec(dtype=dtype, value=value, name=name)


def _numbers(node: Node) -> Any:
    """Every number of a value, depth first; SpaceError for anything else."""
    if isinstance(node.value, tuple):
        if not node.value:
            raise node.error(f"{node.key} is an empty list", "; write a number, or numbers in lists")
        for item in node.value:
            yield from _numbers(item)
    elif isinstance(node.value, bool | int | float):
        yield node.value
    else:
        raise node.error(f"{node.key} is {node.written}", "; write a number, or numbers in lists")


def _lists(node: Node) -> tuple[Any, tuple[int, ...]]:
    """The value as numbers in lists, and its shape; SpaceError for lists of different shapes in one."""
    if not isinstance(node.value, tuple):
        return node.value, ()
    items = [_lists(item) for item in node.value]
    shapes = [shape for _, shape in items]
    if len(set(shapes)) > 1:
        raise node.error(f"{node.key} has lists of different lengths", "; give all of them the same shape")
    return [value for value, _ in items], (len(items), *shapes[0])
