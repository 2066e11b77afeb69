"""No import of the package leads back to where it began, those made by name at run time included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import autotune

ROOT = Path(autotune.__file__).parent
PLUGINS = ("knobs", "backends", "workloads")
BY_NAME = {
    "autotune.core.plugins": tuple(f"autotune.{folder}" for folder in PLUGINS),
    "autotune.report.export.writer": ("autotune.report.export.forms",),
    "autotune.report.page.html": ("autotune.report.page.plots",),
}
"""The modules that import whatever a folder holds. The public names of `autotune` itself are no import of its own."""
OF_USERS = {"autotune", "autotune.study.search.samplers", "autotune.workloads.python", "autotune.core.user_function"}
"""Those that import by name what a user names, and the public functions."""


def files() -> dict[str, Path]:
    """Every module of the package by its name, packages by theirs."""
    paths = [(path.relative_to(ROOT.parent).with_suffix(""), path) for path in ROOT.rglob("*.py")]
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in paths}


MODULES = files()


def run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module but for those that only type checkers see."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from run_time(child)


def imports(name: str) -> set[str]:
    """The modules of the package that a module imports, at its top, in a function, or by a name made at run time."""
    found: set[str] = set()
    for node in run_time(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in MODULES else node.module for one in inner}
    folders = BY_NAME.get(name, ())
    found |= {one for one in MODULES if one.rpartition(".")[0] in folders}
    return found & set(MODULES)


def test_imports_make_no_cycle() -> None:
    graph = {name: imports(name) for name in MODULES}
    assert graph["autotune.core.plugins"] >= {"autotune.knobs.layout", "autotune.backends.openvino"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_only_known_modules_import_by_name() -> None:
    made = {name for name, path in MODULES.items() if "import_module(" in path.read_text()}
    assert made <= BY_NAME.keys() | OF_USERS
