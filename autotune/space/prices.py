"""The price of this instance type, from a file that lists what an hour of each costs."""

from __future__ import annotations

import math
from pathlib import Path

from autotune.core.errors import SpaceError
from autotune.core.machine import Hardware
from autotune.core.space_types import PRICES, Exclusion, Price
from autotune.space import yaml_nodes
from autotune.space.values import one
from autotune.space.yaml_nodes import Node


def load(node: Node, given: Path | None, folder: Path, hw: Hardware) -> tuple[Price | None, tuple[Exclusion, ...]]:
    """The price that the file `given`, else the one that a space file names, has for this machine; None without a file.

    A file that does not list this instance type is excluded, with the reason. SpaceError if it is no file of prices.
    """
    if given is None and node.value is None:
        return None, ()
    file = given or folder / str(one(node, str))
    if given is not None and not file.is_file():
        raise SpaceError(f"there is no file of prices {file}")
    if not file.is_file():
        raise node.error(f"there is no file of prices {file}", f"; looked for in {folder.resolve()}")
    price = find(file, hw.instance_type)
    unlisted = Exclusion(setting=PRICES, value=str(file), reason=f"it has none for {hw.instance_type}")
    return price, () if price else (unlisted,)


def find(path: Path, instance_type: str) -> Price | None:
    """The price of an instance type in a file of prices; None if it is not listed, SpaceError if it is no such file."""
    root = yaml_nodes.read(path)
    parts = root.section(("currency", "date", "per_hour"))
    listed = parts["per_hour"].value if "per_hour" in parts else None
    if not isinstance(listed, dict) or not listed:
        raise parts.get("per_hour", root).error("there are no prices", "; write such as per_hour: {c7i.xlarge: 0.1785}")
    per_hour = {name: _positive(node) for name, node in listed.items()}
    about = {key: str(one(parts[key], str)) for key in ("currency", "date") if key in parts}
    return Price(per_hour=per_hour[instance_type], **about) if instance_type in per_hour else None


def _positive(node: Node) -> float:
    price = float(one(node, float))
    if not price > 0 or not math.isfinite(price):
        raise node.error(f"{node.key} is {node.written}", "; write what an hour costs, above 0")
    return price
