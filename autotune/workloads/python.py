"""Any torch module that a function makes: `python:path/to/file.py:function` or `python:package.module:function`.

The function is called without arguments, torch's random numbers seeded. It returns the module, or a pair of it and
example inputs: a tensor, a tuple of tensors, or a dict of them by the names of the module's arguments, the batch first.
Numbers and None among them are the same in every call. Of all that it reads only its own source file counts as content:
after changing anything else, such as weights, clear the cache or give another seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotune.core import user_function
from autotune.core.errors import ModelError
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.hardware.interpreters import missing
from autotune.workloads import _arguments
from autotune.workloads._torch import arrays, mend_torchvision

if TYPE_CHECKING:
    import numpy as np

packages = ("torch",)
form: Form = "module"
plain = "torch_eager"
real_examples = True


class Options(Struct):
    """None."""


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why modules cannot be built here, or None."""
    return missing(packages, hw)


resolve = user_function.resolve


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digest of the function's source file, where it is known."""
    return user_function.cache_key(name)


def judged(name: str, options: Options) -> bool:
    """It is the user's own model."""
    return True


def examples(name: str, options: Options, seed: int, samples: int) -> tuple[np.ndarray[Any, Any], ...]:
    """The example inputs that the function returns beside the module."""
    _, inputs = _made(name, seed)
    if inputs is None:
        raise ModelError(
            f"python:{name} returns no example inputs; return (module, inputs), or write workload.inputs "
            "such as [{shape: [batch, 3, 224, 224], dtype: float32}]"
        )
    return arrays(inputs, f"python:{name}")


def build(name: str, options: Options, seed: int) -> Any:
    """The module in eval mode; ModelError names what is wrong with the file, the function or what it returns."""
    model, inputs = _made(name, seed)
    return _arguments.bound(model.eval(), _arguments.of_examples(inputs)) if inputs is not None else model.eval()


def _made(name: str, seed: int) -> tuple[Any, Any]:
    """The module, and its example inputs or None."""
    import torch

    mend_torchvision()
    function = user_function.load(name)
    torch.manual_seed(seed)
    try:
        made = function()
    except (Exception, SystemExit) as error:
        raise ModelError(f"python:{name} raised {user_function.last_line(error)}") from error
    model, inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, torch.nn.Module):
        kinds = ", ".join(type(part).__name__ for part in made) if isinstance(made, tuple) else type(made).__name__
        raise ModelError(f"python:{name} returned {kinds}; return a torch module, or a pair of it and example inputs")
    return model, inputs
