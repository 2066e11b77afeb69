from __future__ import annotations

import importlib
import re

import pytest

from autotune.core import moved


@pytest.mark.parametrize(("old", "new"), moved.MODULES.items())
def test_an_old_path_is_gone_and_the_new_one_is_there(old: str, new: str) -> None:
    if old != "autotune.hardware":  # which is a package now
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(old)
    for name in re.findall(r"[\w.]+", new.replace(" and ", " ")):
        importlib.import_module(name if name.startswith("autotune.") else f"autotune.core.{name}")


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("from autotune.types import Config", f"; autotune.types is now {moved.TYPES}"),
        ("import autotune.errors", "; autotune.errors is now autotune.core.errors"),
        ("from autotune.workloads import _files", "; autotune.workloads._files is now autotune.core.user_files"),
        ("from autotune import errors", "; autotune.errors is now autotune.core.errors"),
        ("from autotune.hardware import read", "; autotune.hardware is now autotune.hardware.probe"),
        ("import no_such_module", ""),
        ("from autotune.core.errors import Nothing", ""),
        ("1 / 0", ""),
    ],
)
def test_the_hint_names_the_new_module(statement: str, hint: str) -> None:
    with pytest.raises((ImportError, ZeroDivisionError)) as caught:
        exec(statement)
    assert moved.hint(caught.value) == hint
