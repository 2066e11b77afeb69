"""The packages whose versions matter: those that backends and workloads name, read from their files without importing.

Only so may the hardware's probe, which plugins import, ask for them.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from autotune.core.errors import PluginError

FOLDERS = ("backends", "workloads")
ATTRIBUTES = ("packages", "optional")


@functools.cache
def named() -> tuple[str, ...]:
    """The packages that plugins run with or make models with, sorted; PluginError for a file that is not Python."""
    root = Path(__file__).parents[1]
    files = [file for folder in FOLDERS for file in sorted((root / folder).glob("[!_]*.py"))]
    return tuple(sorted({name for file in files for name in in_file(file)}))


def in_file(file: Path) -> set[str]:
    """The texts that a plugin's `packages` and `optional` are written with, itself or by a constant's name.

    What is taken over from another plugin (`packages = torch_eager.packages`) stands in that one's file.
    """
    try:
        statements = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise PluginError(f"the plugin {file} is not Python: {error}") from error
    values = dict(assigned for statement in statements if (assigned := _assigned(statement)) is not None)
    parts = [part for name in ATTRIBUTES if name in values for part in ast.walk(values[name])]
    constants = [values.get(part.id) if isinstance(part, ast.Name) else part for part in parts]
    return {one.value for one in constants if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """The name and the value of a statement `name = value` or `name: type = value`, or None for another one."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if value is None or not isinstance(targets[0], ast.Name):
        return None
    return targets[0].id, value
