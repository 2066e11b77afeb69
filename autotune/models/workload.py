"""A workload in a child process: its module, and inputs that are the same for every batch size and process.

The inputs are drawn as the space file describes them, the user's own samples, or what the provider makes.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autotune.core import plugins
from autotune.core.struct import digest
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.models import data, input_names, precision

if TYPE_CHECKING:
    import numpy as np

    from autotune.core.interfaces import Form, Provider

CALIBRATION = 64
"""At most so many of the examples that come with a model are kept apart for quantising."""


class BuiltWorkload:
    """The workload of a spec; builds its module on demand (ModelError if the provider cannot).

    Where the spec has no inputs, they are those of `examples` (rows that are repeated as often as needed), which a
    preparing child stored; without it they are the real samples to judge, or the provider makes them. Whatever may run
    code of the user's own runs within `building`. `half` is the type of a module that the provider gives in half
    precision; None before it was built.
    """

    def __init__(
        self,
        spec: WorkloadSpec,
        examples: Path | None = None,
        building: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self.spec = spec
        self.half: str | None = None
        self._examples = examples
        self._splits: dict[int, data.Split] = {}
        self._building = building

    @property
    def form(self) -> Form:
        """The form of model that the provider gives."""
        return provider(self.spec).form

    def module(self) -> Any:
        """The model as a torch module in eval mode, its random weights drawn from the spec's seed.

        One of half precision is made float32, unless the spec keeps it as given.
        """
        with self._building():
            module = provider(self.spec).build(self.spec.name, options(self.spec), self.spec.seed)
        self.half = precision.half(module)
        if self.spec.precision == "as_given":
            return module
        precision.restore_default()
        return module if self.half is None else module.float()

    def file(self) -> Path:
        """The model's own file."""
        module: Any = provider(self.spec)
        return Path(module.file(self.spec.name))

    def arrays(self, batch_size: int) -> tuple[np.ndarray[Any, Any], ...]:
        """One array an input; the first n rows of a larger batch are the batch of size n."""
        if self._examples is not None and not self.spec.inputs:
            return repeated(load_arrays(self._examples), batch_size)
        rows = self.real(batch_size)
        if rows is None:
            return self._generated(batch_size, self.spec.seed)
        return repeated(self.as_taken(rows.inputs), batch_size)

    def calibration(self, least: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The inputs to calibrate quantisation on: at least so many rows, none of which is one of `arrays`.

        Generated ones are drawn from the next seed.
        """
        rows = self.real(least)
        if rows is None:
            return self._generated(least, self.spec.seed + 1)
        return repeated(self.as_taken(rows.calibration), max(least, len(rows.calibration[0])))

    def real(self, batch_size: int) -> data.Split | None:
        """The user's own rows: the samples of the spec, or the examples that come with the model; None without any.

        ModelError if they cannot be had, or a model cannot take a batch of this size.
        """
        if self.spec.data is not None:
            return self.samples
        if generated(self.spec):
            return None
        if batch_size not in self._splits:
            module: Any = provider(self.spec)
            with self._building():
                examples = module.examples(self.spec.name, options(self.spec), self.spec.seed, batch_size)
            self._splits[batch_size] = data.split(examples, None, len(examples[0]), CALIBRATION, self.spec.seed)
        return self._splits[batch_size]

    def check_steady(self) -> None:
        """ModelError where the function that gives the samples gives others at another call."""
        if self.spec.data is not None:
            with self._building():
                data.check_steady(self.samples, self.spec.data, self.spec.seed, self._own)

    def as_taken(self, rows: tuple[np.ndarray[Any, Any], ...]) -> tuple[np.ndarray[Any, Any], ...]:
        """The rows in the type that the module takes: float32 in place of half, where it is made so itself."""
        if self.form != "module" or self.spec.precision == "as_given":
            return rows
        precision.restore_default()
        return precision.as_float32(rows)

    @functools.cached_property
    def samples(self) -> data.Split:
        """The samples of a spec that has some; ModelError if they cannot be had."""
        assert self.spec.data is not None
        with self._building():
            return data.load(self.spec.data, self.spec.seed, self._own)

    def _own(self, name: str) -> Callable[..., Any] | None:
        module: Any = provider(self.spec)
        if hasattr(module, name):
            return functools.partial(getattr(module, name), self.spec.name, options(self.spec))
        if name == "input_names" and module.form == "module":
            return lambda: input_names.of_module(self.module())
        return None

    def _generated(self, rows: int, seed: int) -> tuple[np.ndarray[Any, Any], ...]:
        if self.spec.inputs:
            return tuple(array(spec, rows, seed, index) for index, spec in enumerate(self.spec.inputs))
        module: Any = provider(self.spec)
        with self._building():
            made = module.examples(self.spec.name, options(self.spec), seed, rows)
        return repeated(self.as_taken(made), rows)


def save_arrays(path: Path, arrays: tuple[np.ndarray[Any, Any], ...]) -> None:
    """The arrays in their order, as a .npz file."""
    import numpy as np

    np.savez(path, allow_pickle=False, **{f"array_{index}": found for index, found in enumerate(arrays)})


def load_arrays(path: Path) -> tuple[np.ndarray[Any, Any], ...]:
    """The arrays that `save_arrays` wrote."""
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        return tuple(stored[f"array_{index}"] for index in range(len(stored.files)))


def repeated(arrays: tuple[np.ndarray[Any, Any], ...], rows: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Exactly so many rows of each array: row i is that of i modulo how many there are."""
    import numpy as np

    return tuple(found[np.arange(rows) % len(found)] for found in arrays)


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


def generated(spec: WorkloadSpec) -> bool:
    """True if the inputs are made up: drawn as described, or by a provider whose examples are not the user's own."""
    real = spec.data is not None or (not spec.inputs and getattr(provider(spec), "real_examples", False))
    return not real


def cache_key(spec: WorkloadSpec) -> tuple[Any, ...]:
    """The key of a built model and its inputs; not how it is judged or served.

    The content of files is a part of it, and that of the variables in `env`, as this process has them.
    """
    rows = data.cache_key(spec.data, spec.seed) if spec.data else None
    values = tuple(os.environ.get(name) for name in spec.env)
    return (identity(spec), rows, digest(values), provider(spec).cache_key(spec.name, options(spec)))


def identity(spec: WorkloadSpec) -> str:
    """The digest of a model with its options, inputs and seed, whatever its files hold, however it is judged."""
    return digest(msgspec.structs.replace(spec, data=None, serving=None, allow=(), batch_size=None))


def judged(spec: WorkloadSpec) -> bool:
    """True if comparing outputs says something: not with random weights."""
    return provider(spec).judged(spec.name, options(spec))
