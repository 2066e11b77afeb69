"""Layers that are known to mix the rows of a batch, for the advice where rows are seen to depend on each other."""

from __future__ import annotations

from typing import Any

SEQUENCE_FIRST = (
    "the first dimension must be the batch (batch_first=True), or inputs say where it is: [length, batch, features]"
)


def suspect(module: Any) -> tuple[str, str] | None:
    """The first layer that mixes the rows of a batch, and what to write instead; None where none is known to.

    It may be innocent: ask only where rows do depend on each other.
    """
    if module is None:
        return None
    import torch

    for name, part in module.named_modules():
        shown = f"{name or 'the model'}: {type(part).__name__}"
        if getattr(part, "batch_first", True) is False:
            return shown, SEQUENCE_FIRST
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            return f"{shown} without running statistics", "write track_running_stats=True and train those"
        if "quantized.dynamic" in type(part).__module__:
            return f"{shown}, which scales by the whole batch", "give the float32 model: autotune quantises it itself"
    return None
