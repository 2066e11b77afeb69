"""A module that torch.jit.save wrote: `torchscript:model.pt`, for torch_eager, and openvino with `frontend: torch`.

Loading one runs code that it holds: name only files that you trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.core.errors import ModelError
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.core.user_files import absolute, sha256
from autotune.hardware.interpreters import missing
from autotune.workloads._torch import one_line

packages = ("torch",)
form: Form = "module"
plain = "torch_eager"


class Options(Struct):
    """None."""


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why modules cannot be loaded here, or None."""
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


def build(name: str, options: Options, seed: int) -> Any:
    """The module in eval mode; ModelError if the file holds none."""
    import torch

    try:
        return torch.jit.load(name, map_location="cpu").eval()
    except Exception as error:
        raise ModelError(f"{name} is not a module that torch.jit.save wrote: {one_line(error)}") from error
