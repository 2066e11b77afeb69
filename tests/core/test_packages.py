from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.core import packages, plugins
from autotune.core.errors import PluginError
from autotune.core.plugins import Kind

KINDS: tuple[Kind, ...] = ("backends", "workloads")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in plugins.names(kind)])
def test_what_is_read_is_what_the_plugin_has(kind: Kind, name: str) -> None:
    plugin: Any = plugins.load(kind, name)
    assert {*plugin.packages, *getattr(plugin, "optional", ())} <= set(packages.named())


def test_the_packages_of_all_plugins_are_sorted_and_written_once() -> None:
    assert list(packages.named()) == sorted(set(packages.named()))
    assert {"torch", "nncf", "onnxscript", "intel-extension-for-pytorch"} <= set(packages.named())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('packages = ("torch",)', {"torch"}),
        ('packages: tuple[str, ...] = ("torch", "a")\noptional = ["b"]', {"torch", "a", "b"}),
        ('MINE = "mine"\nOTHER = "no"\npackages = ("torch", MINE)', {"torch", "mine"}),
        ('packages = (*torch_eager.packages, "more")', {"more"}),
        ("packages = torch_eager.packages", set()),
        ('def f():\n    packages = ("inner",)', set()),
        ("packages: tuple[str, ...]\nx.packages = 1", set()),
        ("", set()),
    ],
)
def test_a_file_is_read_without_importing_it(text: str, named: set[str], tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(f"import no_such_module\n{text}\n")
    assert packages.in_file(file) == named


@pytest.mark.parametrize("content", [b"packages = (", b"\xff", b"\0"])
def test_a_file_that_is_not_python_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_bytes(content)
    with pytest.raises(PluginError, match=r"plugin\.py is not Python: .+") as caught:
        packages.in_file(tmp_path / "plugin.py")
    assert "\n" not in str(caught.value)
