"""Parts of a torch module that a call leaves in training mode, in which they answer otherwise than in production."""

from __future__ import annotations

from typing import Any

from autotune.core.finding import Finding

DIFFER = ("Dropout", "BatchNorm")
"""In the names of layers that differ in training mode."""


def find(module: Any, *, matters: bool) -> Finding | None:
    """The part that is in training mode, an error where that `matters` for the answers; None where none is."""
    parts = [] if module is None else [(name, part) for name, part in module.named_modules() if part.training]
    if not parts:
        return None
    telling = [one for one in parts if any(kind in type(one[1]).__name__ for kind in DIFFER)]
    name, part = (telling or parts)[0]
    return Finding(
        what="the model is in training mode after a call, in which layers such as dropout and batch norm differ",
        where=f"{name or 'the model'}: {type(part).__name__}",
        instead="call self.train() nowhere in forward",
        severity="error" if matters else "notice",
    )
