"""Names of a model's outputs, by their places in what it returns."""

from __future__ import annotations

from typing import Any

from autotune.core.errors import ModelError

LONE = "output"
"""The name of an output that is all that a model returns."""


def output_names(result: Any, prefix: str = "") -> list[str]:
    """The place of each tensor in what a model returns, depth first: `logits`, `hidden.0`, `0`; `output` if alone.

    None has no place. ModelError, which names the place, for what is no tensor.
    """
    if result is None:
        return []
    if hasattr(result, "shape"):
        return [prefix or LONE]
    if isinstance(result, (str, bytes)) or not hasattr(result, "__iter__"):
        raise ModelError(f"{label(prefix or LONE)} is a {type(result).__name__}, not a tensor")
    if hasattr(result, "items"):
        parts = result.items()
    elif hasattr(result, "_fields"):
        parts = zip(result._fields, result, strict=True)
    else:
        parts = enumerate(result)
    return [name for place, part in parts for name in output_names(part, f"{prefix}.{place}" if prefix else str(place))]


def label(name: str) -> str:
    """An output as messages call it."""
    return "the output" if name == LONE else f"output {name!r}"
