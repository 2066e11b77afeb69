"""A user's model as a file that other processes can build it from: torch.export's program, its outputs still named."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.backends import _export
from autotune.core.errors import ModelError

INSTEAD = "write a function that makes it in a file, and tune `model: python:FILE.py:FUNCTION` with a space file"


@dataclass(frozen=True)
class Exported:
    """A program of torch.export.

    `images` says whether one of its example inputs has four dimensions, `names` are theirs where they have some.
    """

    program: Any
    images: bool
    names: tuple[str, ...] | None

    @property
    def digest(self) -> str:
        """SHA-256 of the graph, the weights and the example inputs: equal for equal models, unlike the file's."""
        import torch

        read = hashlib.sha256(self.program.graph_module.code.encode())
        examples = dict(enumerate(self.program.example_inputs[0]))
        for group in (self.program.state_dict, self.program.constants, examples):
            for name, tensor in group.items():
                if isinstance(tensor, torch.Tensor):
                    read.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
                    read.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
        return read.hexdigest()

    def save(self, path: Path) -> None:
        """Write the program, whole or not at all."""
        import torch

        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".pt2", dir=path.parent)
        os.close(handle)
        try:
            torch.export.save(self.program, temporary)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def export(model: Any, example_inputs: Any) -> Exported:
    """The model, which is left as it is, with a dynamic batch dimension.

    `example_inputs` are a tensor, a tuple or list of them, or a dict by the names of the model's arguments; the batch
    is first in each. ModelError names what is wrong, and another way to tune a model that torch.export cannot take so.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"the model is a {type(model).__name__}; give a torch.nn.Module, or {INSTEAD}")
    names, inputs = _inputs(example_inputs)
    placed = zip(names or map(str, range(len(inputs))), inputs, strict=True)
    for name, tensor in [*model.named_parameters(), *model.named_buffers(), *placed]:
        if tensor.device.type != "cpu":
            raise ModelError(f"{name} is on {tensor.device}; give a model and inputs on the CPU, such as model.cpu()")
    portable = _portable(model, names)
    with _in_eval_mode(model):
        # One row would become a part of the graph.
        several = [torch.cat([tensor, tensor]) if len(tensor) == 1 else tensor for tensor in inputs]
        try:
            program = _export.program(portable, several, (0,) * len(several))
        except ModelError as error:
            raise ModelError(f"the model cannot be handed on to other processes: {error}; {INSTEAD}") from error
    images = any(tensor.ndim == 4 for tensor in inputs)
    return Exported(program, images, names)


def _inputs(given: Any) -> tuple[tuple[str, ...] | None, list[Any]]:
    """The names, where there are any, and the tensors; ModelError unless all are tensors with as many rows."""
    import torch

    names = tuple(given) if isinstance(given, Mapping) else None
    values = list(given.values()) if isinstance(given, Mapping) else given
    tensors = [values] if isinstance(values, torch.Tensor) else values
    if not isinstance(tensors, tuple | list) or not tensors:
        raise ModelError(f"example_inputs are {one_type(given)}; give a tensor, a tuple of tensors or a dict of them")
    for place, tensor in zip(names or range(len(tensors)), tensors, strict=True):
        if not isinstance(tensor, torch.Tensor) or not tensor.ndim or not len(tensor):
            got = f"a tensor of shape {list(tensor.shape)}" if isinstance(tensor, torch.Tensor) else one_type(tensor)
            raise ModelError(f"example input {place!r} is {got}; give a tensor whose first dimension is the batch")
    if len({len(tensor) for tensor in tensors}) > 1:
        rows = ", ".join(str(len(tensor)) for tensor in tensors)
        raise ModelError(f"the example inputs have {rows} rows; the first dimension of each is the batch")
    return names, list(tensors)


def one_type(value: Any) -> str:
    """`a dict`, `an int`, `empty`."""
    kind = type(value).__name__
    return "empty" if hasattr(value, "__len__") and not len(value) else f"a{'n' * (kind[0] in 'aeiou')} {kind}"


def _portable(model: Any, names: tuple[str, ...] | None) -> Any:
    """The model with plain outputs and positional inputs, so that who runs its graph needs none of its classes."""
    import torch

    class Portable(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            named = {} if names is None else dict(zip(names, inputs, strict=True))
            return _plain(self.model(**named) if named else self.model(*inputs))

    made = Portable()
    made.training = False
    return made


def _plain(result: Any) -> Any:
    """Tensors in dicts and tuples; what else a model returns (None, numbers) is left out."""
    if hasattr(result, "detach"):
        return result
    if hasattr(result, "items"):
        return {name: _plain(part) for name, part in result.items() if _tensors(part)}
    return tuple(_plain(part) for part in result if _tensors(part))


def _tensors(part: Any) -> bool:
    return hasattr(part, "detach") or hasattr(part, "items") or isinstance(part, tuple | list)


@contextlib.contextmanager
def _in_eval_mode(model: Any) -> Iterator[None]:
    """Every part of the model in eval mode, and then as it was."""
    before = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training
