from __future__ import annotations

import os
from pathlib import Path

import pytest

from autotune.core.errors import PluginError
from autotune.hardware import interpreters
from tests import machines
from tests.machines import write


def installed(prefix: Path, python: str = "3.12", **packages: str) -> Path:
    """A folder that looks like a Python environment."""
    site = f"/lib/python{python}/site-packages"
    write(prefix, {"/bin/python": b"#!/bin/sh\n", f"{site}/x.py": ""})
    for name, version in packages.items():
        write(prefix, {f"{site}/{name}-{version}.dist-info/METADATA": f"Name: {name}\nVersion: {version}"})
    (prefix / "bin/python").chmod(0o755)
    return prefix


def test_an_environment_is_read_from_its_files(tmp_path: Path) -> None:
    prefix = installed(tmp_path / "old", msgspec="0.19", numpy="2.0", torch="2.8.0", unknown="1")
    found = interpreters.read(prefix)
    assert (found.prefix, found.python) == (str(prefix), "3.12")
    assert found.packages == {"torch": "2.8.0", "msgspec": "0.19", "numpy": "2.0"}
    assert interpreters.lacking(found) is None


def test_what_is_missing_is_named_with_the_remedy() -> None:
    hw = machines.hardware(1, packages={"torch": "2.13"})
    assert interpreters.missing(("torch",), hw) is None
    assert interpreters.missing(("torch", "timm"), hw) == "timm not installed; pip install timm"
    assert interpreters.missing(("timm", "onnx"), hw) == "timm, onnx not installed; pip install timm onnx"


def test_a_package_that_nobody_looked_for_is_not_said_to_be_missing() -> None:
    """Packages are read from plugins' files: one that a plugin makes up at run time is not seen."""
    with pytest.raises(PluginError, match=r"a plugin needs frobnicate, which .* write it there as a literal string"):
        interpreters.missing(("timm", "frobnicate"), machines.hardware(1))


def test_of_several_pythons_the_newest_counts(tmp_path: Path) -> None:
    prefix = installed(tmp_path, "3.9", torch="1.0")
    installed(tmp_path, "3.11", msgspec="0.19", numpy="2.0")
    assert interpreters.read(prefix).python == "3.11"
    assert "torch" not in interpreters.read(prefix).packages


@pytest.mark.parametrize(
    ("python", "packages", "why"),
    [
        ("3.9", {"msgspec": "0.18", "numpy": "1.26"}, "its Python is 3.9; workers need 3.10 or newer"),
        ("3.10", {"numpy": "2.0"}, "it lacks msgspec; "),
        ("3.10", {}, "it lacks msgspec and numpy; "),
    ],
)
def test_what_cannot_run_workers_has_a_reason(tmp_path: Path, python: str, packages: dict[str, str], why: str) -> None:
    installed(tmp_path / "env", python, **packages)
    reason = interpreters.lacking(interpreters.read(tmp_path / "env"))
    assert reason is not None and reason.startswith(why)
    assert interpreters.find(tmp_path) == {}


def test_a_folder_without_a_python_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    reason = interpreters.lacking(interpreters.read(tmp_path / "empty"))
    assert reason == f"there is no Python in {tmp_path / 'empty'}"
    assert interpreters.find(tmp_path) == {}
    assert interpreters.find(tmp_path / "missing") == {}


def test_debians_own_python_keeps_its_packages_in_a_folder_without_a_number(tmp_path: Path) -> None:
    write(tmp_path, {"/lib/python3.11/os.py": "", "/lib/python3.9/os.py": ""})
    for name in ("msgspec", "numpy"):
        metadata = f"/lib/python3/dist-packages/{name}-1.0.dist-info/METADATA"
        write(tmp_path, {metadata: f"Name: {name}\nVersion: 1.0"})
    found = interpreters.read(tmp_path)
    assert (found.python, found.packages) == ("3.11", {"msgspec": "1.0", "numpy": "1.0"})
    reason = interpreters.lacking(found)
    assert reason == f"there is no bin/python in {tmp_path}; name the folder of a venv or a conda environment"


def test_environments_are_found_by_name_also_through_links(tmp_path: Path) -> None:
    elsewhere = installed(tmp_path / "elsewhere", msgspec="0.19", numpy="2.0")
    folder = tmp_path / "environments"
    installed(folder / "b", msgspec="0.19", numpy="2.0", torch="2.8.0")
    (folder / "a").symlink_to(elsewhere)
    assert list(interpreters.find(folder)) == ["a", "b"]
    assert interpreters.find(folder)["b"].packages["torch"] == "2.8.0"


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOTUNE_ENVIRONMENTS", str(tmp_path))
    assert interpreters.default_folder() == tmp_path
    monkeypatch.delenv("AUTOTUNE_ENVIRONMENTS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert interpreters.default_folder() == tmp_path / "autotune" / "environments"


def test_a_link_shows_the_package_and_nothing_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "autotune"
    package.mkdir(parents=True)
    for _ in range(2):
        interpreters.link(package, tmp_path / "alone")
    other = tmp_path / "checkout" / "autotune"
    other.mkdir(parents=True)
    interpreters.link(other, tmp_path / "alone")
    assert [path.name for path in (tmp_path / "alone").iterdir()] == ["autotune"]
    assert (tmp_path / "alone" / "autotune").resolve() == other


def test_a_link_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old" / "autotune").mkdir(parents=True)
    (tmp_path / "new" / "autotune").mkdir(parents=True)
    interpreters.link(tmp_path / "old" / "autotune", tmp_path / "alone")
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(target.resolve())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    interpreters.link(tmp_path / "new" / "autotune", tmp_path / "alone")
    assert seen == [tmp_path / "old" / "autotune"]
    assert (tmp_path / "alone" / "autotune").resolve() == tmp_path / "new" / "autotune"


def test_no_link_is_made_in_a_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        interpreters.link(tmp_path / "autotune", tmp_path / "alone")
    assert list((tmp_path / "alone").iterdir()) == []
