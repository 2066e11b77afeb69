"""A model of a few layers, quick to build and to compile; only in the copy of the package that tests make."""

from __future__ import annotations

import time
from typing import Any

from autotune.core.errors import ModelError
from autotune.core.machine import Hardware
from autotune.core.struct import Struct

packages = ("torch",)
form = "module"
plain = "torch_eager"


class Options(Struct):
    """`trained: true` says that its outputs may be judged."""

    trained: bool = True


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why models cannot be built here, or None."""
    return None if "torch" in hw.packages else "torch not installed; pip install torch"


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """Nothing but the name."""
    return ()


def judged(name: str, options: Options) -> bool:
    """As told."""
    return options.trained


def build(name: str, options: Options, seed: int) -> Any:
    """`conv` for images of 16 x 16; `slow` takes a minute, `broken` does not build."""
    if name == "slow":
        time.sleep(60)
    if name == "broken":
        raise ModelError("it is broken\nin two lines")
    import torch
    from torch import nn

    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 4),
    ).eval()
