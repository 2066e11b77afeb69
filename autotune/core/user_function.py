"""A user's own function, by `path/to/file.py:function` or `package.module:function`: its source file and its import.

Models, labelled samples and metrics are named so. Of all that a function reads, only its own source file counts as
content.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.user_files import absolute, sha256


def resolve(name: str, folder: Path) -> str:
    """The name with its file's absolute path; a dotted name of which no file lies in `folder` stays as it is."""
    source, function = _parts(name)
    if source.endswith(".py"):
        return f"{absolute(source, folder)}:{function}"
    beside = _file_of(source.split("."), folder.resolve())
    return f"{beside}:{function}" if beside else name


def cache_key(name: str) -> tuple[str, ...]:
    """The SHA-256 of the function's source file; empty where there is none."""
    source, _ = _parts(name)
    file = source if source.endswith(".py") else _installed(source)
    return () if file is None else (sha256(file),)


def load(name: str) -> Callable[..., Any]:
    """The function; ModelError if its module cannot be imported or has none of that name."""
    source, wanted = _parts(name)
    try:
        module = _imported(source)
    except (Exception, SystemExit) as error:
        raise ModelError(f"{source} cannot be imported: {last_line(error)}") from error
    function = getattr(module, wanted, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ModelError(f"{source} has no function {wanted!r}{did_you_mean(wanted, own)}")
    loaded: Callable[..., Any] = function
    return loaded


def last_line(error: BaseException) -> str:
    """An error of a user's code in one line: its type and the last line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


def _parts(name: str) -> tuple[str, str]:
    source, _, function = name.rpartition(":")
    if not source or not function.isidentifier():
        raise ModelError(
            f"python:{name} names no function; write python:path/to/file.py:FUNCTION or python:MODULE:FUNCTION"
        )
    return source, function


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
