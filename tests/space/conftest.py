from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal

import pytest

from autotune.core import plugins
from autotune.core.struct import Struct


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Hinted(Struct):
    """As a runtime whose hint and streams exclude each other."""

    hint: Literal["none", "latency", "auto"] = "none"
    streams: int = 1
    ratio: float = 0.5


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A backend of that name."""
    module: Any = types.ModuleType("hinted")
    module.packages = ()
    module.runs = ("module",)
    module.Options = Hinted
    module.unavailable = lambda options, hw: (
        "too many"
        if options.streams > 4
        else "a hint excludes streams"
        if options.hint == "latency" and options.streams > 1
        else None
    )
    names, found = plugins.names, plugins.load
    monkeypatch.setattr(plugins, "names", lambda kind: (*names(kind), *(["hinted"] if kind == "backends" else [])))
    monkeypatch.setattr(plugins, "load", lambda kind, name: module if name == "hinted" else found(kind, name))
    return module
