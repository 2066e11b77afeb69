"""The batch size that the shapes of a model's inputs fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def fixed_batch(shapes: Sequence[Sequence[Any]]) -> int | None:
    """The only batch size of a model whose inputs have these shapes (sizes that are free are no int), or None.

    An input that has a fixed first dimension beside others whose first is free is not a batch.
    """
    first = [shape[0] for shape in shapes if len(shape)]
    return first[0] if first and all(isinstance(size, int) for size in first) else None
