"""The tensors in what a model returns, each with its place: `logits`, `hidden.0`, `cache.0.keys`, `0`."""

from __future__ import annotations

from typing import Any

from autotune.core.errors import ModelError

LONE = "output"
"""The name of an output that is all that a model returns."""

NO_TENSOR = (bool, int, float, complex, str, bytes, type(None))
"""What is left out: it is the same for every batch, or no answer at all."""


def tensors(value: Any, place: str = "") -> list[tuple[str, Any]]:
    """The tensors of a result with their places, depth first; `output` is the place of one that is alone.

    They may lie in tuples, lists, mappings, dataclasses and transformers' caches, beside None, numbers and text.
    ModelError, which names the place, for anything else.
    """
    if hasattr(value, "shape") or hasattr(value, "detach"):
        return [(place or LONE, value)]
    if isinstance(value, NO_TENSOR):
        return []
    found: list[tuple[str, Any]] = []
    for name, part in _parts(value, place):
        found += tensors(part, f"{place}.{name}" if place else str(name))
    return found


def label(name: str) -> str:
    """An output as messages call it."""
    return "the output" if name == LONE else f"output {name!r}"


def _parts(value: Any, place: str) -> list[tuple[Any, Any]]:
    if hasattr(value, "items"):
        return list(value.items())
    if hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    for fields in (getattr(value, "__dataclass_fields__", ()), *CACHES):
        if fields and all(hasattr(value, name) for name in fields):
            return [(name, getattr(value, name)) for name in fields]
    raise ModelError(
        f"{label(place or LONE)} is a {type(value).__name__}; a model must return tensors, alone or in tuples, lists, "
        "mappings or dataclasses"
    )


CACHES = (("layers",), ("keys", "values"), ("self_attention_cache", "cross_attention_cache"))
"""Attributes of transformers' caches and their layers, which are no sequences."""
