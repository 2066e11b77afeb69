"""How the inputs of a call reach a module: by position or by name, beside arguments that are the same in every call."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.workload_spec import InputSpec


class Argument(NamedTuple):
    """An argument of a module: by its name, or by position; an input of each call, or a value of its own.

    `dtype` is what an input is made into first: the name of a type that numpy has not.
    """

    name: str | None = None
    is_input: bool = True
    value: Any = None
    dtype: str | None = None


def is_number(value: Any) -> bool:
    """True for what a module gets as a number of Python's, not as a tensor."""
    return isinstance(value, bool | int | float)


def parts(inputs: Any) -> list[tuple[str | None, Any]]:
    """Example inputs one by one, with their names where they have some: of a mapping, a tuple, a list, or one alone."""
    if isinstance(inputs, Mapping):
        return [(str(name), value) for name, value in inputs.items()]
    return [(None, value) for value in (inputs if isinstance(inputs, tuple | list) else (inputs,))]


def of_examples(inputs: Any) -> tuple[Argument, ...]:
    """The arguments of example inputs: tensors are inputs of a call, all else (numbers, None, text) stays as it is."""
    return tuple(
        Argument(name, dtype=_missing_in_numpy(value)) if hasattr(value, "detach") else Argument(name, False, value)
        for name, value in parts(inputs)
    )


def _missing_in_numpy(tensor: Any) -> str | None:
    return "bfloat16" if str(tensor.dtype) == "torch.bfloat16" else None


def of_specs(inputs: Iterable[InputSpec]) -> tuple[Argument, ...]:
    """The arguments of inputs that a space file describes: a constant number is a number of Python's."""
    return tuple(
        Argument(one.name, False, one.value)
        if is_number(one.value)
        else Argument(one.name, dtype="bfloat16" if one.dtype == "bfloat16" else None)
        for one in inputs
    )


def rebound(module: Any, inputs: Iterable[InputSpec]) -> Any:
    """The module called as a space file says, in place of how its example inputs are given."""
    return bound(getattr(module, "unbound", module), of_specs(inputs))


def bound(module: Any, arguments: tuple[Argument, ...]) -> Any:
    """The module, or one around it that takes its inputs by position where some arguments are not so.

    ModelError for a name that the module's forward has not.
    """
    if all(one == Argument() for one in arguments):
        return module
    import torch

    _check_names(module, arguments)

    class Bound(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.unbound = module
            self.arguments = arguments
            self.training = module.training
            named = [one.name for one in arguments if one.is_input]
            self.input_names = None if None in named else named

        def forward(self, *inputs: Any) -> Any:
            left = iter(inputs)
            placed, named = [], {}
            for name, is_input, value, dtype in self.arguments:
                given = next(left) if is_input else value
                given = given if dtype is None else given.to(getattr(torch, dtype))
                if name is None:
                    placed.append(given)
                else:
                    named[name] = given
            return self.unbound(*placed, **named)

    return Bound()


def uncast(module: Any) -> Any:
    """A module that was made float32, without casting its inputs to half first."""
    if hasattr(module, "unbound"):
        return bound(module.unbound, tuple(one._replace(dtype=None) for one in module.arguments))
    return module


def _check_names(module: Any, arguments: tuple[Argument, ...]) -> None:
    try:
        taken = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):  # a TorchScript module's has none
        return
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return
    for name in (one.name for one in arguments if one.name is not None):
        if name not in taken:
            raise ModelError(f"the model's forward has no argument {name!r}{did_you_mean(name, taken)}")
