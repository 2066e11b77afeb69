"""A batch against the inputs that a model was prepared for or measured with: which input does not fit, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError
from autotune.core.interfaces import Port
from autotune.core.workload_spec import InputSpec

if TYPE_CHECKING:
    import numpy as np

    from autotune.core.rows import Arrays, Axes


def measured(inputs: Sequence[InputSpec], example: Arrays, axes: Axes) -> tuple[Port, ...]:
    """The inputs that were measured, their batch left open: those of a batch, else as the space file describes them."""
    if example:
        return tuple(
            Port(None, str(one.dtype), tuple(None if place == axis else size for place, size in enumerate(one.shape)))
            for one, axis in zip(example, axes or (0,) * len(example), strict=True)
        )
    return tuple(Port(None, None if one.dtype == "bfloat16" else one.dtype, _sizes(one)) for one in inputs)


def _sizes(described: InputSpec) -> tuple[int | None, ...] | None:
    """None for a constant, which the space file gives without a shape."""
    if described.value is not None:
        return None
    return tuple(size if isinstance(size, int) else None for size in described.shape)


def rows(arrays: Arrays, axes: Axes) -> list[int]:
    """The number of rows of each input that has some; ModelError for one without the dimension that is its batch."""
    found = []
    for index, (array, axis) in enumerate(zip(arrays, axes, strict=True)):
        if axis is None:
            continue
        if not array.ndim:
            raise ModelError(
                f"input {index} is a single number; give it rows: "
                + ("the first dimension is the batch" if axis == 0 else f"dimension {axis} is the batch")
            )
        if array.ndim <= axis:
            raise ModelError(f"input {index} has {array.ndim} dimensions; its dimension {axis} is the batch")
        found.append(array.shape[axis])
    return found


def refuse_misfit(arrays: Arrays, ports: Sequence[Port]) -> None:
    """ModelError where a batch is not what a model was prepared for: it names the input, and where it differs."""
    if len(arrays) != len(ports):
        raise ModelError(f"the batch has {len(arrays)} inputs; the model was prepared for {len(ports)}")
    for index, (array, port) in enumerate(zip(arrays, ports, strict=True)):
        if (found := _difference(array, port)) is not None:
            got, wanted, advice = found
            raise ModelError(f"input {index} {got}; the model was prepared for {wanted}: {advice}")


def misfit(arrays: Arrays, ports: Sequence[Port]) -> str | None:
    """The first input that differs from what the model was measured with and where, in one clause; or None."""
    for index, (array, port) in enumerate(zip(arrays, ports, strict=False)):
        if (found := _difference(array, port)) is not None:
            got, wanted, _ = found
            return f"input {index} {got}; the model was measured with {wanted}"
    return None


def widened(arrays: Arrays, ports: Sequence[Port]) -> Arrays:
    """The batch, each input that is of a smaller type of the model's kind in the model's type."""
    if len(arrays) != len(ports):
        return arrays
    return tuple(
        array.astype(port.dtype, copy=False) if port.dtype is not None and _holds(port.dtype, array) else array
        for array, port in zip(arrays, ports, strict=True)
    )


def _difference(array: np.ndarray[Any, Any], port: Port) -> tuple[str, str, str] | None:
    """What an array has, what the model wants instead, and what to do; None where it fits."""
    if port.shape is not None:
        if array.ndim != len(port.shape):
            return f"has {array.ndim} dimensions", f"{len(port.shape)}", "reshape it"
        for dimension, (got, wanted) in enumerate(zip(array.shape, port.shape, strict=True)):
            if wanted not in (None, got):
                advice = f"pad or resize it, or run a study for {got}"
                return f"has size {got} in dimension {dimension}", f"{wanted}", advice
    if port.dtype is not None and not _holds(port.dtype, array):
        return f"is {array.dtype}", port.dtype, "convert it"
    return None


def _holds(dtype: str, array: np.ndarray[Any, Any]) -> bool:
    """True if a type is of an array's kind (whole numbers, or floats) and holds all that the array's can."""
    import numpy as np

    wanted = np.dtype(dtype)
    kinds = {array.dtype.kind, wanted.kind}
    return np.can_cast(array.dtype, wanted, "safe") and (len(kinds) == 1 or kinds == {"u", "i"})
