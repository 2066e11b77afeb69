"""Arrays that were given by name, put into the order of the model's inputs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError
from autotune.core.workload_spec import InputSpec
from autotune.models.sources import Own, Rows

if TYPE_CHECKING:
    from autotune.models.sources import Arrays


def ordered(rows: Rows, source: str, own: Own) -> Arrays:
    """The arrays in the order of the model's inputs where their names are those, else in their own order.

    A single array needs no name. ModelError for a name that is none of the model's inputs, beside one that is, and for
    an input that is missing.
    """
    known = own("input_names")
    if len(rows.names) < 2 or known is None:
        return rows.arrays
    inputs: Mapping[str, bool] = known()
    matched = [name for name in inputs if name in rows.names]
    if not matched:
        return rows.arrays
    if other := [name for name in rows.names if name not in inputs]:
        raise ModelError(
            f"{source} has the array {other[0]!r} beside {matched[0]!r}; the model's inputs are {', '.join(inputs)}: "
            "name the arrays so, or none of them so to give them by position"
        )
    last = list(inputs).index(matched[-1])
    for place, (name, needed) in enumerate(inputs.items()):
        if name not in matched and (needed or place < last):
            raise ModelError(f"{source} has no array for the input {name!r}, only {', '.join(matched)}; add it")
    given = dict(zip(rows.names, rows.arrays, strict=True))
    return tuple(given[name] for name in matched)


def of_module(module: Any) -> dict[str, bool]:
    """The arguments of a module's forward in their order, each with whether it must be given; none if it hides them."""
    if (named := getattr(module, "input_names", None)) is not None:
        return dict.fromkeys(named, True)
    try:
        arguments = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {one.name: one.default is one.empty for one in arguments if one.kind is one.POSITIONAL_OR_KEYWORD}


def of_described(inputs: Sequence[InputSpec], known: Sequence[str]) -> dict[str, bool]:
    """The names of those described inputs whose values are the samples': their own, or the model's in their place."""
    places = [*known, *[""] * len(inputs)]
    names = {one.name or places[place]: True for place, one in enumerate(inputs) if one.drawn}
    return {} if "" in names else names
