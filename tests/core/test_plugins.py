"""The finding and loading of plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core import plugins
from autotune.core.errors import PluginError
from tests.conftest import ExtendedPackage
from tests.core.every_plugin import FRAMEWORKS, KINDS


def test_a_plugin_is_a_file() -> None:
    for kind in KINDS:
        files = {path.stem for path in (Path(plugins.__file__).parents[1] / kind).glob("[!_]*.py")}
        assert set(plugins.names(kind)) == files
        assert files


def test_an_unknown_name_is_named_with_its_neighbour() -> None:
    with pytest.raises(PluginError, match="unknown knob 'alocator'; did you mean 'allocator'"):
        plugins.load("knobs", "alocator")
    with pytest.raises(PluginError, match="unknown backend 'zzz'; allowed: command, ipex, onnxruntime, openvino"):
        plugins.load("backends", "zzz")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        (
            "from autotune.interfaces import Workload",
            "No module named 'autotune.interfaces'; autotune.interfaces is now autotune.core.interfaces",
        ),
    ],
)
def test_a_plugin_that_does_not_import_says_so_by_name(
    lab: ExtendedPackage, tmp_path: Path, statement: str, reason: str
) -> None:
    broken = lab.package / "autotune" / "knobs" / "broken.py"
    broken.write_text(f"{statement}\n")
    script = "from autotune.core import plugins; plugins.load('knobs', 'broken')"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], env=lab.environ, cwd=tmp_path, capture_output=True, text=True, check=False
        )
    finally:
        broken.unlink()
    assert done.stderr.splitlines()[-1] == (
        f"autotune.core.errors.PluginError: the knob plugin 'broken' does not import: ModuleNotFoundError: {reason}"
    )


def test_options_are_the_backends_own() -> None:
    options: Any = plugins.backend_options("torch_eager", {"precision": "bfloat16"})
    assert (options.precision, options.memory_format) == ("bfloat16", "contiguous")
    for wrong in ({"precision": "float33"}, {"presicion": "float32"}):
        with pytest.raises(msgspec.ValidationError):
            plugins.backend_options("torch_eager", dict(wrong))


def test_no_plugin_imports_a_framework() -> None:
    script = """
import json, sys
from autotune.core import plugins
for kind in ("knobs", "backends", "workloads"):
    for name in plugins.names(kind):
        plugins.load(kind, name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert set(json.loads(done.stdout)) & {*FRAMEWORKS, "optuna", "rich", "typer", "yaml", "scipy"} == set()
