"""A workload in a child process: its module, and inputs that are the same for every batch size and process.

The inputs are drawn as the space file describes them, the user's own samples, or what the provider makes.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autotune.core import plugins, rows
from autotune.core.errors import ModelError
from autotune.core.rows import Axes
from autotune.core.struct import digest
from autotune.core.workload_spec import DataSpec, InputSpec, WorkloadSpec
from autotune.models import data, input_names, inputs, precision, sources
from autotune.workloads import _arguments

if TYPE_CHECKING:
    from autotune.core.interfaces import Form, Provider
    from autotune.core.rows import Arrays

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
        self._made: dict[int, tuple[int, Arrays, Axes]] = {}
        self._split: data.Split | None = None
        self._building = building

    @property
    def form(self) -> Form:
        """The form of model that the provider gives."""
        return provider(self.spec).form

    def module(self) -> Any:
        """The model as a torch module in eval mode, its random weights drawn from the spec's seed.

        One of half precision is made float32, unless the spec keeps it as given. It takes the arrays by position,
        whatever names and numbers the space file gives.
        """
        with self._building():
            module = provider(self.spec).build(self.spec.name, options(self.spec), self.spec.seed)
        module = _arguments.rebound(module, self.spec.inputs) if self.spec.inputs else module
        self.half = precision.half(module)
        if self.spec.precision == "as_given":
            return module
        precision.restore_default()
        return module if self.half is None else _arguments.uncast(module.float())

    def file(self) -> Path:
        """The model's own file."""
        module: Any = provider(self.spec)
        return Path(module.file(self.spec.name))

    @property
    def described(self) -> tuple[InputSpec, ...]:
        """The inputs that the space file describes, without the numbers that are bound to a module."""
        if self.form != "module":
            return self.spec.inputs
        return tuple(one for one in self.spec.inputs if not _arguments.is_number(one.value))

    @property
    def batch_axes(self) -> Axes:
        """The batch dimension of each array; None where one is the same for every batch."""
        if self.spec.inputs:
            return tuple(one.batch_axis for one in self.described)
        if self._examples is not None:
            return load_rows(self._examples)[1]
        if self.spec.data is not None:
            return (0,) * len(self.samples.inputs)
        return self._examples_of(1, self.spec.seed)[1]

    def arrays(self, batch_size: int) -> Arrays:
        """One array an input; the first n rows of a larger batch are the batch of size n."""
        if self._examples is not None and not (self.spec.inputs and self.spec.data is None):
            return repeated(*load_rows(self._examples), batch_size)
        real = self.real(batch_size)
        if real is None:
            return self._generated(batch_size, self.spec.seed)
        return self._whole(real.inputs, batch_size)

    def calibration(self, least: int) -> Arrays:
        """The inputs to calibrate quantisation on: at least so many rows, none of which is one of `arrays`.

        Generated ones are drawn from the next seed.
        """
        real = self.real(least)
        if real is None:
            return self._generated(least, self.spec.seed + 1)
        return self._whole(real.calibration, max(least, rows.count(real.calibration, self._sample_axes)))

    def judged(self, numbers: Sequence[int]) -> Arrays:
        """The samples to judge that have these numbers, as one batch."""
        return self._whole(rows.taken(self.samples.inputs, self._sample_axes, numbers), len(numbers))

    def real(self, batch_size: int) -> data.Split | None:
        """The user's own rows: the samples of the spec, or the examples that come with the model; None without any.

        ModelError if they cannot be had, or a model cannot take a batch of this size.
        """
        if self.spec.data is not None:
            return self.samples
        if generated(self.spec):
            return None
        if self._split is None:
            examples, axes = self._examples_of(batch_size, self.spec.seed)
            count = rows.count(examples, axes)
            self._split = data.split(examples, axes, None, count, CALIBRATION, self.spec.seed)
        return self._split

    def check_steady(self) -> None:
        """ModelError where a function gives other samples at its second call: other processes would have others."""
        given = self.spec.data
        if given is None or sources.kind(given.source) != "function":
            return
        if self._load(given).digest != self.samples.digest:
            raise ModelError(f"{given.source} gives other rows at its second call; let it give the same each time")

    def as_taken(self, given: Arrays) -> Arrays:
        """The rows in the type that the module takes: float32 in place of half, where it is made so itself."""
        if self.form != "module" or self.spec.precision == "as_given":
            return given
        precision.restore_default()
        return precision.as_float32(given)

    @functools.cached_property
    def samples(self) -> data.Split:
        """The samples of a spec that has some; ModelError if they cannot be had."""
        assert self.spec.data is not None
        return self._load(self.spec.data)

    def _load(self, given: DataSpec) -> data.Split:
        described = [one for one in self.spec.inputs if one.drawn] if self.spec.inputs else None
        with self._building():
            return data.load(given, self.spec.seed, self._own, described)

    @property
    def _sample_axes(self) -> Axes:
        """The batch dimension of each array that is real."""
        if not self.spec.inputs:
            return self.batch_axes
        return tuple(one.batch_axis for one in self.spec.inputs if one.drawn)

    def _whole(self, real: Arrays, count: int) -> Arrays:
        """So many rows of the real arrays, and beside them constants and states where the space file describes some."""
        found = repeated(real if self.spec.inputs else self.as_taken(real), self._sample_axes, count)
        if not self.spec.inputs:
            return found
        left, seed = iter(found), self.spec.seed
        described = enumerate(self.described)
        return tuple(next(left) if one.drawn else inputs.array(one, count, seed, index) for index, one in described)

    def _own(self, name: str) -> Callable[..., Any] | None:
        """A function of the provider's for this model, where it has one of this name."""
        if name == "input_names" and self.spec.inputs:
            return lambda: input_names.of_described(self.spec.inputs, tuple(self._model_names()))
        if name == "input_names":
            return self._model_names
        module: Any = provider(self.spec)
        if hasattr(module, name):
            return functools.partial(getattr(module, name), self.spec.name, options(self.spec))
        return None

    def _model_names(self) -> dict[str, bool]:
        """The names of the model's own inputs, each with whether it must be given; none where nobody knows them."""
        module: Any = provider(self.spec)
        if hasattr(module, "input_names"):
            names: dict[str, bool] = module.input_names(self.spec.name, options(self.spec))
            return names
        if module.form != "module":
            return {}
        built = module.build(self.spec.name, options(self.spec), self.spec.seed)
        return input_names.of_module(getattr(built, "unbound", built) if self.spec.inputs else built)

    def _generated(self, count: int, seed: int) -> Arrays:
        if self.spec.inputs:
            return tuple(inputs.array(one, count, seed, index) for index, one in enumerate(self.described))
        made, axes = self._examples_of(count, seed)
        return repeated(self.as_taken(made), axes, count)

    def _examples_of(self, least: int, seed: int) -> tuple[Arrays, Axes]:
        """The provider's examples and their batch dimensions: so many rows, or its own, which are asked for once."""
        made = self._made.get(seed)
        if made is None or made[0] == rows.count(*made[1:]) < least:
            module: Any = provider(self.spec)
            with self._building():
                arrays = module.examples(self.spec.name, options(self.spec), seed, least)
            own = module.batch_axes(self.spec.name, options(self.spec)) if hasattr(module, "batch_axes") else None
            axes = own or rows.found([array.shape for array in arrays]) or (0,) * len(arrays)
            made = self._made[seed] = least, arrays, axes
        return made[1:]


def save_arrays(path: Path, arrays: Arrays) -> None:
    """The arrays in their order, as a .npz file."""
    import numpy as np

    np.savez(path, allow_pickle=False, **{f"array_{index}": found for index, found in enumerate(arrays)})


def load_arrays(path: Path) -> Arrays:
    """The arrays that `save_arrays` wrote."""
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        return tuple(stored[f"array_{index}"] for index in range(len(stored.files)))


def save_rows(path: Path, arrays: Arrays, axes: Axes) -> None:
    """The arrays with their batch dimensions, as a .npz file."""
    import numpy as np

    save_arrays(path, (np.array([-1 if axis is None else axis for axis in axes]), *arrays))


def load_rows(path: Path) -> tuple[Arrays, Axes]:
    """The arrays and batch dimensions that `save_rows` wrote."""
    axes, *arrays = load_arrays(path)
    return tuple(arrays), tuple(None if axis < 0 else int(axis) for axis in axes)


def repeated(arrays: Arrays, axes: Axes, count: int) -> Arrays:
    """Exactly so many rows of each array: row i is that of i modulo how many there are."""
    import numpy as np

    return rows.taken(arrays, axes, np.arange(count) % rows.count(arrays, axes))


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


def fixed_batch(spec: WorkloadSpec) -> int | None:
    """The only batch size that the model takes by its own file; None where that takes any, or there is none."""
    module: Any = provider(spec)
    if not hasattr(module, "fixed_batch"):
        return None
    size: int | None = module.fixed_batch(spec.name, options(spec), spec.inputs)
    return size


def judged(spec: WorkloadSpec) -> bool:
    """True if comparing outputs says something: not with random weights."""
    return provider(spec).judged(spec.name, options(spec))
