"""Looking at the operations of one call of a torch module, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from autotune.worker.model_check import own_code

Wanted = Callable[[Any, tuple[Any, ...]], bool]
"""Whether an operator with these arguments is looked for."""


@contextlib.contextmanager
def first(wanted: Wanted) -> Iterator[list[str | None]]:
    """The line of the model's own code that runs the first operation that is wanted; an empty list while none is."""
    from torch.utils._python_dispatch import TorchDispatchMode

    lines: list[str | None] = []

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if not lines and wanted(operator, args):
                lines.append(own_code.line())
            return operator(*args, **(kwargs or {}))

    with Watch():
        yield lines


def draws_random_numbers(operator: Any, args: tuple[Any, ...]) -> bool:
    """True of an operator that takes numbers from a generator."""
    import torch

    return torch.Tag.nondeterministic_seeded in operator.tags


def changes(tensors: list[Any]) -> Wanted:
    """Whether an operator writes into the memory of one of these tensors."""
    memory = {tensor.untyped_storage().data_ptr() for tensor in tensors}

    def wanted(operator: Any, args: tuple[Any, ...]) -> bool:
        written: Any = args[0] if operator._schema.is_mutable and args else None
        return hasattr(written, "untyped_storage") and written.untyped_storage().data_ptr() in memory

    return wanted
