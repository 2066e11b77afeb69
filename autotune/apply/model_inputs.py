"""The inputs of a loaded model: in the order and with the names of its own, checked before the runtime sees them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotune.apply import input_check
from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Port
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import inputs as drawn
from autotune.models.workload import BuiltWorkload

if TYPE_CHECKING:
    from autotune.core.rows import Arrays, Axes


class ModelInputs:
    """The inputs of a workload's model.

    `prepared` are all that the loaded model takes, None where it takes what the model's code takes; `example` is a
    batch that it was measured with and `axes` its batch dimensions, where these can be had.
    """

    def __init__(
        self,
        spec: WorkloadSpec,
        names: Sequence[str] | None = None,
        prepared: tuple[Port, ...] | None = None,
        example: Arrays = (),
        axes: Axes = (),
    ) -> None:
        self._built = BuiltWorkload(spec)
        self._described = self._built.described
        self._given_names = names
        self._prepared = prepared
        self._axes = axes or tuple(one.batch_axis for one in self._described)
        self._measured = input_check.measured(self._described, example, self._axes)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names in their order: those that were given, else of the space file, else of the model's file or code.

        None where the code takes any number of inputs.
        """
        if self._given_names is not None:
            return tuple(self._given_names)
        if named := [one.name for one in self._described if one.name is not None]:
            return tuple(named)
        if self._built.form == "onnx":
            return tuple(port.name for port in self._prepared or () if port.name is not None)
        module = self._built.module()
        if (arguments := getattr(module, "arguments", None)) is not None:
            return tuple(one.name for one in arguments if one.is_input and one.name is not None)
        try:
            parameters = inspect.signature(module.forward).parameters.values()
        except (TypeError, ValueError):  # a TorchScript module's has none
            return ()
        if any(one.kind is one.VAR_POSITIONAL for one in parameters):
            return ()
        return tuple(one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD)

    def in_order(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs of a batch: given one by one, as a tuple or list, or as a dict; constants may be left out."""
        one = batch[0] if len(batch) == 1 else batch
        if isinstance(one, Mapping):
            return self._by_name(one)
        given = tuple(one) if isinstance(one, tuple | list) else (one,)
        varying = [place for place, spec in enumerate(self._described) if spec.value is None]
        if len(given) == len(self._described) or len(given) != len(varying):
            return given
        whole = [self._constant(place) for place in range(len(self._described))]
        for place, value in zip(varying, given, strict=True):
            whole[place] = value
        return tuple(whole)

    def _by_name(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        if not self.names:
            raise ModelError("the model's inputs have no names; give them in their order, or load with input_names")
        for name in given:
            if name not in self.names:
                raise ModelError(f"the model has no input {name!r}{did_you_mean(str(name), self.names)}")
        constants = {
            name: self._constant(place)
            for place, (name, spec) in enumerate(zip(self.names, self._described, strict=False))
            if spec.value is not None
        }
        one = constants | dict(given)
        # What is left out at the end has a default in the model's code.
        names = self.names[: max((self.names.index(name) for name in one), default=-1) + 1]
        if missing := [name for name in names if name not in one]:
            raise ModelError(f"the batch has no {missing[0]!r}; the model's inputs are {', '.join(self.names)}")
        return tuple(one[name] for name in names)

    def _constant(self, place: int) -> Any:
        spec = self._described[place]
        return None if spec.value is None else drawn.array(spec, 1, 0, place)

    def fitting(self, arrays: Arrays) -> Arrays:
        """The batch in the types of the model, where those hold every value; ModelError if it does not fit."""
        axes = self._axes or (0,) * len(arrays)
        if not arrays or len(arrays) != len(axes):
            raise ModelError(
                f"the batch has {len(arrays)} inputs; the model was measured with {len(self._axes) or 'some'}"
            )
        rows = input_check.rows(arrays, axes)
        if len(set(rows)) > 1:
            where = "the first dimension of each" if not any(axes) else f"in turn their dimension {_listed(axes)}"
            raise ModelError(f"the inputs have {', '.join(map(str, rows))} rows; {where} is the batch")
        if self._prepared is not None:
            input_check.refuse_misfit(arrays, self._prepared)
        return input_check.widened(arrays, self._prepared or self._measured)

    def why_not(self, arrays: Arrays, error: str, tuned: int) -> str:
        """Why the model failed: where the batch differs from what was measured, and the runtime's own words."""
        if found := input_check.misfit(arrays, self._measured):
            return f"{found}, and does not take this: {error}"
        rows = next(iter(input_check.rows(arrays, self._axes or (0,) * len(arrays))), tuned)
        if rows == tuned:
            return f"the model fails on this batch: {error}"
        return (
            f"the model did not take a batch of {rows}: {error}; it was measured with "
            f"batches of {tuned}: give it those, or tune a model whose batch dimension is dynamic"
        )


def _listed(axes: Axes) -> str:
    return ", ".join(str(axis) for axis in axes if axis is not None)
