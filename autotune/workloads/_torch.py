"""Weights, example inputs, and an import of torchvision that works, for the providers of torch modules."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.core import rows
from autotune.core.errors import ModelError
from autotune.workloads import _arguments

if TYPE_CHECKING:
    import numpy as np


def load_weights(model: Any, path: str, name: str) -> None:
    """Fill the model from a state_dict file; ModelError in one line if it cannot be read or does not fit."""
    try:
        state = _state(path)
    except OSError as error:
        raise ModelError(f"the weights {path} cannot be read: {error.strerror or error}") from error
    except ImportError as error:
        raise ModelError(
            f"the weights {path} need safetensors, which is not installed; pip install safetensors"
        ) from error
    except Exception as error:
        raise ModelError(
            f"{path} is not a state_dict file; write one with torch.save(model.state_dict(), path)"
        ) from error
    try:
        model.load_state_dict(state)
    except Exception as error:
        raise ModelError(f"the weights {path} do not fit {name}: {one_line(error)}") from error


def _state(path: str) -> Any:
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, weights_only=True, map_location="cpu")


def one_line(error: BaseException) -> str:
    """An error's message, at most 300 characters; its type if it has none."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def arrays(inputs: Any, name: str) -> tuple[np.ndarray[Any, Any], ...]:
    """The tensors of example inputs as arrays, bfloat16 as float32; ModelError unless each has rows of the batch.

    Inputs are a tensor, a tuple or list, or a mapping by the names of the model's arguments; what else is among them
    stays the same in every call.
    """
    import torch

    given = _arguments.parts(inputs)
    tensors = [value for _, value in given if isinstance(value, torch.Tensor)]
    if not tensors:
        raise ModelError(
            f"the example inputs of {name} are {inputs!r:.60}; give a tensor, a tuple of tensors, or a dict of them"
        )
    for index, (place, value) in enumerate(given):
        if not isinstance(value, torch.Tensor | bool | int | float | str | None):
            what = f"example input {place or index} of {name} is a {type(value).__name__}, not a tensor"
            raise ModelError(f"{what}; let the model take what is in it as arguments of their own")
        if isinstance(value, torch.Tensor) and 0 in value.shape[:1]:
            raise ModelError(
                f"example input {place or index} of {name} has shape {list(value.shape)}; give it rows: a batch"
            )
    shapes = [list(tensor.shape) for tensor in tensors]
    if not any(shapes):
        raise ModelError(f"the example inputs of {name} are single numbers; give at least one of them rows: a batch")
    if rows.found(shapes) is None:
        sizes = ", ".join(str(shape[0]) for shape in shapes if shape)
        raise ModelError(
            f"the example inputs of {name} have {sizes} rows; the first dimension of each is the batch; where it "
            "stands elsewhere, write workload.inputs such as [{shape: [batch, 512]}, {shape: [2, batch, 128]}]"
        )
    return tuple(_array(tensor) for tensor in tensors)


def _array(tensor: Any) -> np.ndarray[Any, Any]:
    import torch

    tensor = tensor.detach().contiguous()
    made: np.ndarray[Any, Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return made


def import_torchvision() -> Any:
    """torchvision, also where its compiled operators cannot load; see `mend_torchvision`."""
    mend_torchvision()
    import torchvision

    return torchvision


def mend_torchvision() -> None:
    """From now on `import torchvision` works in this process, whoever does it; nothing is imported before.

    Where its compiled operators cannot load (PyPI's wheel beside a CPU build of torch) its import registers fake
    kernels for operators that then do not exist; declaring their schemas first is enough for models that never call
    them. A model that does call one fails by torch's own message, which names the operator.
    """
    if "torchvision" not in sys.modules and _FINDER not in sys.meta_path and not _libraries:
        sys.meta_path.insert(0, _FINDER)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing, but is asked first: it declares the operators when torchvision is about to be imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """None; the next finder has it."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            _declare_operators()


_FINDER = _Finder()


def _declare_operators() -> None:
    """Load torchvision's operators, or declare them where they cannot be loaded."""
    import torch

    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None:
        return
    try:
        for compiled in Path(package.origin).parent.glob("_C*.so"):
            torch.ops.load_library(compiled)
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)


_libraries: list[Any] = []  # a torch.library.Library withdraws its operators when it is collected
