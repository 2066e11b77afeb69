"""autotune finds the fastest correct way to serve a PyTorch model on this CPU, and exports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotune.apply.load_model import load
    from autotune.apply.optimize import optimize
    from autotune.report.lookup import trials

__version__ = "0.1.0"
__all__ = ["__version__", "load", "optimize", "trials"]

HOMES = {"load": "autotune.apply.load_model", "optimize": "autotune.apply.optimize", "trials": "autotune.report.lookup"}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """The public functions, imported when they are first asked for."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)
