"""Any torch module that a function makes: `python:path/to/file.py:function` or `python:package.module:function`.

The function is called without arguments, torch's random numbers seeded. It returns the module, or a pair of it and
example inputs: a tensor or a tuple of tensors, the batch first. Of all that it reads only its own source file counts
as content: after changing anything else, such as weights, clear the cache or give another seed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.hardware.interpreters import missing
from autotune.workloads._files import digest, found
from autotune.workloads._torch import arrays

if TYPE_CHECKING:
    import numpy as np

packages = ("torch",)
form: Form = "module"
plain = "torch_eager"


class Options(Struct):
    """None."""


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why modules cannot be built here, or None."""
    return missing(packages, hw)


def resolve(name: str, folder: Path) -> str:
    """The function's file by its absolute path; a dotted name that is no file beside the space file stays as it is."""
    source, function = _parts(name)
    if source.endswith(".py"):
        return f"{found(source, folder)}:{function}"
    beside = _file_of(source.split("."), folder.resolve())
    return f"{beside}:{function}" if beside else name


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digest of the function's source file, where it is known."""
    source, _ = _parts(name)
    file = source if source.endswith(".py") else _installed(source)
    return () if file is None else (digest(file),)


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
    model, _ = _made(name, seed)
    return model.eval()


def _made(name: str, seed: int) -> tuple[Any, Any]:
    """The module, and its example inputs or None."""
    import torch

    function = _function(name)
    torch.manual_seed(seed)
    try:
        made = function()
    except (Exception, SystemExit) as error:
        raise ModelError(f"python:{name} raised {_last_line(error)}") from error
    model, inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, torch.nn.Module):
        kinds = ", ".join(type(part).__name__ for part in made) if isinstance(made, tuple) else type(made).__name__
        raise ModelError(f"python:{name} returned {kinds}; return a torch module, or a pair of it and example inputs")
    return model, inputs


def _function(name: str) -> Callable[[], Any]:
    source, wanted = _parts(name)
    try:
        module = _imported(source)
    except (Exception, SystemExit) as error:
        raise ModelError(f"{source} cannot be imported: {_last_line(error)}") from error
    function = getattr(module, wanted, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ModelError(f"{source} has no function {wanted!r}{did_you_mean(wanted, own)}")
    found_: Callable[[], Any] = function
    return found_


def _imported(source: str) -> ModuleType:
    """A module by its name, or by its file as part of the package that it lies in; beside it, imports find the rest."""
    if not source.endswith(".py"):
        return importlib.import_module(source)
    path = Path(source)
    root, parts = path.parent, [] if path.stem == "__init__" else [path.stem]
    while (root / "__init__.py").is_file():
        root, parts = root.parent, [root.name, *parts]
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = importlib.import_module(".".join(parts))
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise ImportError(f"another module named {module.__name__} is loaded, {module.__file__}; rename the file")
    return module


def _parts(name: str) -> tuple[str, str]:
    source, _, function = name.rpartition(":")
    if not source or not function.isidentifier():
        raise ModelError(
            f"python:{name} names no function; write python:path/to/file.py:FUNCTION or python:MODULE:FUNCTION"
        )
    return source, function


def _installed(module: str) -> Path | None:
    """A module's source file, found without importing anything: a package's own `__init__` may import a framework."""
    first, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:
        return None
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    if not rest:
        return Path(spec.origin) if spec and spec.has_location and spec.origin else None
    return next((file for folder in folders if (file := _file_of(rest, folder))), None)


def _file_of(parts: list[str], folder: Path) -> Path | None:
    base = folder.joinpath(*parts)
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__
