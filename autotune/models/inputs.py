"""The inputs that a space file describes, drawn from the workload's seed; row i is the same for every batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autotune.core.workload_spec import InputSpec

if TYPE_CHECKING:
    import numpy as np


def array(spec: InputSpec, batch_size: int, seed: int, index: int) -> np.ndarray[Any, Any]:
    """Input number `index`; bfloat16, which numpy has not, as float32."""
    import numpy as np

    dtype = np.dtype("float32" if spec.dtype == "bfloat16" else spec.dtype)
    if spec.value is not None:
        return np.asarray(spec.value, dtype)
    rest = [size for size in spec.shape if size != "batch"]
    if spec.batch_axis is None:
        return _drawn(spec, rest, dtype, np.random.default_rng([seed, index]))
    rows = _drawn(spec, [batch_size, *rest], dtype, np.random.default_rng([seed, index]))
    return np.ascontiguousarray(np.moveaxis(rows, 0, spec.batch_axis))


def _drawn(spec: InputSpec, shape: Sequence[Any], dtype: Any, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    import numpy as np

    if spec.state is not None and not spec.bounded:
        return np.zeros(shape, dtype)
    if dtype.kind == "f":
        width = np.float64 if dtype == np.float64 else np.float32
        if spec.bounded:
            return (spec.low + (spec.high - spec.low) * rng.random(shape, dtype=width)).astype(dtype)
        return rng.standard_normal(shape, dtype=width).astype(dtype, copy=False)
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    return rng.integers(int(spec.low), int(spec.high), shape, dtype=np.int64).astype(dtype)
