"""The precision of a torch module as its provider gives it: half is made float32, unless the space file keeps it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def half(module: Any) -> str | None:
    """`float16` or `bfloat16` where a parameter or buffer of a module is of that type; None where none is."""
    import torch

    tensors = (*module.parameters(), *module.buffers())
    found = next((tensor.dtype for tensor in tensors if tensor.dtype in (torch.float16, torch.bfloat16)), None)
    return None if found is None else str(found).removeprefix("torch.")


def restore_default() -> None:
    """Let torch make float32 tensors again, where the code of a model has set its default type to half."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.get_default_dtype() in (torch.float16, torch.bfloat16):
        torch.set_default_dtype(torch.float32)


def as_float32(arrays: tuple[np.ndarray[Any, Any], ...]) -> tuple[np.ndarray[Any, Any], ...]:
    """The arrays, those of float16 as float32."""
    return tuple(array.astype("float32") if array.dtype == "float16" else array for array in arrays)
