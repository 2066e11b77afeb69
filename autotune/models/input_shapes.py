"""Arrays of the user's own as the inputs that the space file describes: their sizes, types and batch dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autotune.core.errors import ModelError
from autotune.core.rows import Axes
from autotune.core.workload_spec import InputSpec

if TYPE_CHECKING:
    from autotune.models.sources import Arrays


def fitting(arrays: Arrays, described: Sequence[InputSpec], source: str) -> tuple[Arrays, Axes]:
    """The arrays in the types of the inputs, and the batch dimension of each; ModelError where one does not fit."""
    if len(arrays) != len(described):
        wanted = ", ".join(one.name or str(list(one.shape)) for one in described)
        raise ModelError(
            f"{source} has {len(arrays)} arrays for {len(described)} inputs: {wanted}; give each its array"
        )
    for place, (array, one) in enumerate(zip(arrays, described, strict=True)):
        if array.ndim != len(one.shape) or any(
            wanted not in (size, "batch") for size, wanted in zip(array.shape, one.shape, strict=True)
        ):
            shape = list(one.shape)
            raise ModelError(f"input {one.name or place!r} of {source} has shape {array.shape}; {shape} is described")
    # bfloat16, which numpy has not, as float32
    types = ["float32" if one.dtype == "bfloat16" else one.dtype for one in described]
    cast = tuple(array.astype(dtype, copy=False) for array, dtype in zip(arrays, types, strict=True))
    return cast, tuple(one.batch_axis for one in described)
