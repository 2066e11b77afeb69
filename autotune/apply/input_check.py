"""A batch against the inputs that a model was prepared for or measured with: which input does not fit, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError
from autotune.core.interfaces import Port
from autotune.core.workload_spec import InputSpec

if TYPE_CHECKING:
    import numpy as np

    Arrays = tuple[np.ndarray[Any, Any], ...]


def measured(inputs: Sequence[InputSpec], example: Arrays) -> tuple[Port, ...]:
    """The inputs that were measured, their batch left open: as the space file describes them, else those of a batch."""
    if inputs:
        return tuple(Port(None, one.dtype, _open(one.shape)) for one in inputs)
    return tuple(Port(None, str(one.dtype), (None, *one.shape[1:])) for one in example)


def _open(shape: Sequence[int | str]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


def fitting(arrays: Arrays, ports: Sequence[Port]) -> Arrays:
    """The batch for a model that takes nothing but these inputs, in their types where those hold every value.

    ModelError names the input that does not fit, and where.
    """
    if len(arrays) != len(ports):
        raise ModelError(f"the batch has {len(arrays)} inputs; the model was prepared for {len(ports)}")
    for index, (array, port) in enumerate(zip(arrays, ports, strict=True)):
        if (found := _difference(array, port)) is not None:
            got, wanted, advice = found
            raise ModelError(f"input {index} {got}; the model was prepared for {wanted}: {advice}")
    return tuple(
        array if port.dtype is None else array.astype(port.dtype, copy=False)
        for array, port in zip(arrays, ports, strict=True)
    )


def misfit(arrays: Arrays, ports: Sequence[Port]) -> str | None:
    """The first input that differs from what the model was measured with and where, in one clause; or None."""
    for index, (array, port) in enumerate(zip(arrays, ports, strict=False)):
        if (found := _difference(array, port)) is not None:
            got, wanted, _ = found
            return f"input {index} {got}; the model was measured with {wanted}"
    return None


def _difference(array: np.ndarray[Any, Any], port: Port) -> tuple[str, str, str] | None:
    """What an array has, what the model wants instead, and what to do; None where it fits."""
    import numpy as np

    if port.shape is not None:
        if array.ndim != len(port.shape):
            return f"has {array.ndim} dimensions", f"{len(port.shape)}", "reshape it"
        for dimension, (got, wanted) in enumerate(zip(array.shape, port.shape, strict=True)):
            if wanted not in (None, got):
                advice = f"pad or resize it, or run a study for {got}"
                return f"has size {got} in dimension {dimension}", f"{wanted}", advice
    if port.dtype is not None and not np.can_cast(array.dtype, port.dtype, "safe"):
        return f"is {array.dtype}", port.dtype, "convert it"
    return None
