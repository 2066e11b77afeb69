"""A program that torch.export.save wrote: `exported:model.pt2`, its batch dimension dynamic.

Loading one may run code that it holds: name only files that you trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.core import rows
from autotune.core.errors import ModelError
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.rows import Axes
from autotune.core.struct import Struct
from autotune.core.user_files import absolute, sha256
from autotune.hardware.interpreters import missing
from autotune.workloads._torch import arrays, one_line

if TYPE_CHECKING:
    import numpy as np

packages = ("torch",)
form: Form = "module"
plain = "torch_eager"
real_examples = True


class Options(Struct):
    """None."""


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why programs cannot be loaded here, or None."""
    return missing(packages, hw)


def resolve(name: str, folder: Path) -> str:
    """The file's absolute path; ModelError if it is not there."""
    return absolute(name, folder)


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digest of the file."""
    return (sha256(name),)


def judged(name: str, options: Options) -> bool:
    """It is the user's own model."""
    return True


def examples(name: str, options: Options, seed: int, samples: int) -> tuple[np.ndarray[Any, Any], ...]:
    """The inputs that the program was exported with; ModelError if it has none or its batch dimension is fixed."""
    program = _program(name)
    given, named = program.example_inputs or ((), {})
    if named:
        raise ModelError(f"{name} takes {', '.join(named)} by name; export it with all inputs by position")
    if not given:
        raise ModelError(f"{name} holds no example inputs; write workload.inputs, as for any other model")
    found_ = arrays(given, name)
    axes = rows.found([array.shape for array in found_]) or (0,) * len(found_)
    exported_for = rows.count(found_, axes)
    if samples != exported_for and (fixed := _fixed(program, axes)):
        raise ModelError(
            f"{name} was exported for batches of {exported_for} only (by its input {fixed}); export it with "
            "dynamic_shapes=({0: torch.export.Dim('batch')}, ...)"
        )
    return found_


def input_names(name: str, options: Options) -> dict[str, bool]:
    """The names under which the program was exported; all must be given."""
    return dict.fromkeys(_program(name).graph_signature.user_inputs, True)


def build(name: str, options: Options, seed: int) -> Any:
    """The program as a module, marked as in eval mode: it has no other, and its own eval() raises."""
    module = _program(name).module()
    for part in module.modules():
        part.training = False
    return module


def _program(name: str) -> Any:
    import torch

    try:
        return torch.export.load(name)
    except Exception as error:
        raise ModelError(f"{name} is not a program that torch.export.save wrote: {one_line(error)}") from error


def _fixed(program: Any, axes: Axes) -> str | None:
    """The first input whose batch dimension has one size."""
    inputs = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
    for node, axis in zip(nodes, axes, strict=True):
        if axis is not None and isinstance(node.meta["val"].shape[axis], int):
            return str(node.name)
    return None
