"""A torch module as an OpenVINO model: traced on example inputs, its batch dimension left open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotune.backends import _export
from autotune.backends._reason import reason
from autotune.core.errors import ModelError
from autotune.core.interfaces import Workload
from autotune.core.rows import Axes


def model(workload: Workload) -> Any:
    """The torch module as an OpenVINO model with a dynamic batch; ModelError in one line if it cannot be had."""
    import openvino
    import torch

    example = [torch.from_numpy(array) for array in workload.arrays(_export.EXAMPLE_ROWS)]
    axes = workload.batch_axes
    sizes = [
        openvino.PartialShape([-1 if place == axis else size for place, size in enumerate(tensor.shape)])
        for tensor, axis in zip(example, axes, strict=True)
    ]
    module = _export.flat(workload.module()).eval()
    try:
        with torch.no_grad():
            graph = torch.jit.trace(module, tuple(example), check_trace=False)
            converted = openvino.convert_model(graph, example_input=tuple(example), input=sizes)
    except Exception as error:  # of many types, from torch's tracer or OpenVINO
        raise ModelError(f"OpenVINO cannot take the torch module: {reason(error)}") from error
    if (size := _fixed([port.partial_shape for port in converted.outputs], axes)) is not None:
        raise ModelError(f"the batch dimension cannot vary: the model's code fixes it to {size} when it is traced")
    for index, port in enumerate(converted.inputs):
        port.get_tensor().set_names({f"input_{index}"})
    return converted


def _fixed(shapes: Sequence[Any], axes: Axes) -> int | None:
    """The size of the batch that no output leaves open; where it is first in all inputs, it is so in outputs."""
    known = [shape for shape in shapes if shape.rank.is_static and len(shape)]
    if len(known) < len(shapes) or not known:
        return None
    first = all(axis == 0 for axis in axes)
    if any(size.is_dynamic for shape in known for size in (shape[:1] if first else shape)):
        return None
    size: int = known[0][0].get_length()
    return size
