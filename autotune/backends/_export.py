"""Flat outputs and torch.export's program, for the torch backends that need the model as one graph."""

from __future__ import annotations

import contextlib
from typing import Any

from autotune.backends import torch_eager
from autotune.backends._reason import reason
from autotune.core.errors import ModelError
from autotune.core.interfaces import Port
from autotune.core.rows import Axes

EXAMPLE_ROWS = 2
"""torch.export takes a batch of one for a model that knows no other."""


def flat(model: Any, precision: str = "float32") -> Any:
    """The model with its outputs as a tuple of tensors, so that who runs its graph needs none of the model's classes.

    For bfloat16 autocast is part of it.
    """
    import torch

    class Flat(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> tuple[Any, ...]:
            half = torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()
            with half:
                return tuple(torch_eager.flatten(self.model(*inputs)))

    return Flat()


def refuse_script(model: Any) -> None:
    """ModelError for a model that holds TorchScript: neither torch.export nor torch.compile looks into it."""
    import torch

    if any(isinstance(part, torch.jit.ScriptModule) for part in model.modules()):
        raise ModelError(
            "a TorchScript module can be neither exported nor compiled; "
            "use torch_eager, or openvino with frontend: torch"
        )


def dynamic(axes: Axes) -> tuple[tuple[dict[int, Any], ...]]:
    """The dynamic shapes of a `flat` model whose inputs have these batch dimensions."""
    import torch

    batch = torch.export.Dim("batch")
    return (tuple({} if axis is None else {axis: batch} for axis in axes),)


def program(model: Any, example: Any, axes: Axes, *, strict: bool = False) -> Any:
    """The exported program of a `flat` model, its batch dimension dynamic; ModelError in one line if it cannot be."""
    import torch

    refuse_script(model)
    try:
        with torch.no_grad():
            return torch.export.export(model, tuple(example), dynamic_shapes=dynamic(axes), strict=strict)
    except Exception as error:  # of many types, most of them private
        raise ModelError(_why(error)) from error


def inputs(program: Any) -> tuple[Port, ...]:
    """The inputs of an exported program, which takes no other sizes than those that it was exported with."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return tuple(_port(values[name]) for name in program.graph_signature.user_inputs)


def _port(value: Any) -> Port:
    dtype = str(value.dtype).removeprefix("torch.")
    sizes = tuple(size if isinstance(size, int) else None for size in value.shape)
    return Port(None, None if dtype == "bfloat16" else dtype, sizes)


def _why(error: Exception) -> str:
    """torch.export's complaint, several lines with hints for its own arguments, as one sentence."""
    if "Constraints violated" not in str(error):
        return f"torch.export cannot take the model: {reason(error)}"
    lines = (line.strip() for line in str(error).splitlines())
    detail = next((line.removeprefix("- ").split(". ")[0] for line in lines if line.startswith("- ")), reason(error))
    return f"the batch dimension cannot vary: {detail}"
