"""The inputs of a model's file: their batch dimensions, the batch size that they fix, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.rows import Axes
from autotune.core.workload_spec import InputSpec

Shapes = Sequence[Sequence[Any]]
"""The sizes of inputs; one that is free is no int: its name, or None."""

BATCH = ("batch", "n", "b")
"""Names of a batch dimension, or what they begin with (`batch_size`)."""


def batch_axes(shapes: Shapes) -> Axes:
    """The batch dimension of each input, None for one that has none.

    It bears the name that all inputs with a free size share; else it is the first free size. Where no size is free, it
    is the first dimension of the first input, and what has that size in others.
    """
    if all(isinstance(size, int) for shape in shapes for size in shape):
        rows = next((shape[0] for shape in shapes if len(shape)), None)
        return tuple(list(shape).index(rows) if rows in shape else None for shape in shapes)
    shared = _shared_name([shape for shape in shapes if not all(isinstance(size, int) for size in shape)])
    return tuple(_axis(list(shape), shared) for shape in shapes)


def _shared_name(shapes: Shapes) -> str | None:
    shared = [name for name in shapes[0] if isinstance(name, str) and all(name in shape for shape in shapes)]
    named = [name for name in shared if name.lower() in BATCH or name.lower().startswith(BATCH[0])]
    return next(iter([*named, *shared]), None)


def _axis(shape: list[Any], shared: str | None) -> int | None:
    if shared is not None and shared in shape:
        return shape.index(shared)
    return next((axis for axis, size in enumerate(shape) if not isinstance(size, int)), None)


def fixed_batch(shapes: Shapes, axes: Axes | None = None) -> int | None:
    """The only batch size of a model whose inputs have these shapes, or None where it takes any.

    An input that has a fixed first dimension beside others whose first is free is not a batch.
    """
    axes = batch_axes(shapes) if axes is None else axes
    sizes = [shape[axis] for shape, axis in zip(shapes, axes, strict=True) if axis is not None]
    return sizes[0] if sizes and all(isinstance(size, int) for size in sizes) else None


def order(own: Sequence[str], inputs: Sequence[InputSpec]) -> list[int]:
    """For each input that a space file describes, which of the file's own it is: by its name, or where none has one by
    its place; ModelError where they do not fit.
    """
    names = [one.name for one in inputs]
    if not inputs or not any(names):
        if inputs and len(inputs) != len(own):
            raise ModelError(f"workload.inputs has {len(inputs)} inputs; the model's are {', '.join(own)}")
        return list(range(len(own)))
    for name in names:
        if name is None:
            raise ModelError(f"workload.inputs names only some inputs; name all of {', '.join(own)}, or none")
        if name not in own:
            raise ModelError(f"the model has no input {name!r}{did_you_mean(name, own)}")
    if missing := [name for name in own if name not in names]:
        raise ModelError(f"workload.inputs has no {missing[0]!r}; the model's inputs are {', '.join(own)}")
    return [list(own).index(str(name)) for name in names]
