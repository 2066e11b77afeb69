"""A workload in a child process: its module, and inputs that are the same for every batch size and process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from autotune import plugins
from autotune.types import InputSpec, WorkloadSpec

if TYPE_CHECKING:
    import numpy as np

    from autotune.interfaces import Provider


class BuiltWorkload:
    """The workload of a spec; builds its module on demand (ModelError if the provider cannot)."""

    def __init__(self, spec: WorkloadSpec) -> None:
        self.spec = spec

    def module(self) -> Any:
        """The model as a torch module in eval mode, its random weights drawn from the spec's seed."""
        return provider(self.spec).build(self.spec.name, options(self.spec), self.spec.seed)

    def arrays(self, batch_size: int) -> tuple[np.ndarray[Any, Any], ...]:
        """One array an input; the first n rows of a larger batch are the batch of size n."""
        return tuple(array(spec, batch_size, self.spec.seed, index) for index, spec in enumerate(self.spec.inputs))


def array(spec: InputSpec, batch_size: int, seed: int, index: int) -> np.ndarray[Any, Any]:
    """Input number `index`: standard normal floats, or integers in [low, high)."""
    import numpy as np

    shape = tuple(batch_size if size == "batch" else size for size in spec.shape)
    rng = np.random.default_rng([seed, index])
    if spec.dtype.startswith("float"):
        return rng.standard_normal(shape, dtype=np.float64 if spec.dtype == "float64" else np.float32)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    return rng.integers(spec.low, spec.high, shape, dtype=np.int64).astype(spec.dtype)


def provider(spec: WorkloadSpec) -> Provider:
    """The plugin that the part of `model` before the colon names."""
    return plugins.load("workloads", spec.provider)


def options(spec: WorkloadSpec) -> Any:
    """The provider's options as its own struct."""
    return msgspec.convert(spec.options, provider(spec).Options)


def cache_key(spec: WorkloadSpec) -> tuple[Any, ...]:
    """What a built model and its inputs depend on, the content of a weights file included."""
    return (spec, provider(spec).cache_key(spec.name, options(spec)))


def judged(spec: WorkloadSpec) -> bool:
    """Whether comparing outputs says something: false with random weights."""
    return provider(spec).judged(options(spec))
