"""Plugins are files: `knobs/huge_pages.py` is the knob `huge_pages`. Finding one imports nothing but that file."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Literal, cast, overload

import msgspec

from autotune.core import moved
from autotune.core.errors import PluginError, did_you_mean
from autotune.core.interfaces import Backend, Knob, Provider
from autotune.core.struct import Struct, Value

Kind = Literal["knobs", "backends", "workloads"]


@functools.cache
def names(kind: Kind) -> tuple[str, ...]:
    """The plugins of a kind, sorted; files that begin with an underscore are not plugins."""
    files = (Path(__file__).parents[1] / kind).glob("*.py")
    return tuple(sorted(file.stem for file in files if not file.stem.startswith("_")))


@overload
def load(kind: Literal["knobs"], name: str) -> Knob: ...
@overload
def load(kind: Literal["backends"], name: str) -> Backend: ...
@overload
def load(kind: Literal["workloads"], name: str) -> Provider: ...
def load(kind: Kind, name: str) -> Knob | Backend | Provider:
    """The plugin module; PluginError names one that does not exist or does not import."""
    return _module(kind, name)


@functools.cache
def _module(kind: Kind, name: str) -> Knob | Backend | Provider:
    if name not in names(kind):
        raise PluginError(f"unknown {kind[:-1]} {name!r}{did_you_mean(name, names(kind))}")
    try:
        module = importlib.import_module(f"autotune.{kind}.{name}")
    except Exception as error:
        raise PluginError(
            f"the {kind[:-1]} plugin {name!r} does not import: {type(error).__name__}: {error}{moved.hint(error)}"
        ) from error
    return cast(Knob | Backend | Provider, module)


def backend_options(name: str, values: dict[str, object]) -> Struct:
    """A backend's options as its own struct, defaults filled in; msgspec.ValidationError if a value is not legal."""
    backend = load("backends", name)
    options = _invented(tuple(values)) if getattr(backend, "free", False) else backend.Options
    return cast(Struct, msgspec.convert(values, options))


@functools.cache
def _invented(names: tuple[str, ...]) -> type[Struct]:
    """A struct for options that a space file invented."""
    fields = [(name, Value) for name in names]
    made = msgspec.defstruct("Options", fields, bases=(Struct,), frozen=True, kw_only=True)
    return cast(type[Struct], made)
