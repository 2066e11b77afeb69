from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotune.core import user_function
from autotune.core.errors import ModelError


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_are_found_beside_the_space_file(tmp_path: Path) -> None:
    write(tmp_path / "models/net.py", "")
    write(tmp_path / "package/__init__.py", "")
    for name in ("models/net.py:build", "models.net:build"):
        assert user_function.resolve(name, tmp_path) == f"{tmp_path}/models/net.py:build"
    assert user_function.resolve("package:build", tmp_path) == f"{tmp_path}/package/__init__.py:build"
    assert user_function.resolve("torch.nn:Identity", tmp_path) == "torch.nn:Identity"
    assert user_function.resolve(f"{tmp_path}/models/net.py:build", Path("/")) == f"{tmp_path}/models/net.py:build"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        user_function.resolve("nets.py:build", tmp_path)
    assert str(caught.value) == f"there is no file 'nets.py'; looked for in {tmp_path}"


@pytest.mark.parametrize("name", ["model.py", "model.py:", ":build", "model.py:not-a-name"])
def test_a_name_without_a_function_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"names no function; write python:path/to/file\.py:FUNCTION"):
        user_function.resolve(name, tmp_path)


def test_the_source_file_is_the_key(tmp_path: Path) -> None:
    write(tmp_path / "net.py", "one")
    name = f"{tmp_path}/net.py:build"
    before = user_function.cache_key(name)
    write(tmp_path / "net.py", "another")
    assert user_function.cache_key(name) != before


def test_the_source_of_an_installed_module_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "refusing/__init__.py", "raise AssertionError('imported')")
    write(tmp_path / "refusing/inner.py", "")
    write(tmp_path / "single.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    keys = [user_function.cache_key(f"{module}:build") for module in ("refusing", "refusing.inner")]
    assert all(len(key) == 1 for key in keys) and keys[0] != keys[1]
    assert user_function.cache_key("single:build") == keys[1]  # both are empty
    for unknown in ("refusing.missing", "no_such_module", "sys", ".relative"):
        assert user_function.cache_key(f"{unknown}:build") == ()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules are forgotten after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_function_is_imported_with_its_package(modules: Path) -> None:
    write(modules / "mine_/__init__.py", "")
    write(modules / "mine_/sizes.py", "WIDTH = 5\n")
    write(modules / "mine_/inner/__init__.py", "")
    write(modules / "mine_/inner/rows.py", "from ..sizes import WIDTH\n\ndef rows(count):\n    return count * WIDTH\n")
    assert user_function.load(f"{modules}/mine_/inner/rows.py:rows")(3) == 15
    assert user_function.load("mine_.inner.rows:rows")(2) == 10


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (
            "import no_such",
            "own_.py:rows",
            "own_.py cannot be imported: ModuleNotFoundError: No module named 'no_such'",
        ),
        ("raise SystemExit(2)", "own_.py:rows", "own_.py cannot be imported: SystemExit: 2"),
        ("def rows(): ...", "own_.py:row", "own_.py has no function 'row'; did you mean 'rows'?"),
        ("rows = 3", "own_.py:rows", "own_.py has no function 'rows'; allowed: "),
    ],
)
def test_what_cannot_be_loaded_is_named(modules: Path, text: str, name: str, message: str) -> None:
    write(modules / "own_.py", text)
    with pytest.raises(ModelError) as caught:
        user_function.load(f"{modules}/{name}")
    assert f"{modules}/{message}" in str(caught.value)


def test_two_files_of_one_module_name_are_told_apart(modules: Path) -> None:
    for folder in ("one", "other"):
        write(modules / folder / "own_.py", "def rows(): ...\n")
    user_function.load(f"{modules}/one/own_.py:rows")
    with pytest.raises(ModelError, match=r"another module named own_ is loaded, .*/one/own_\.py; rename the file"):
        user_function.load(f"{modules}/other/own_.py:rows")


def test_an_error_is_told_in_one_line() -> None:
    assert user_function.last_line(RuntimeError("no such weights:\n  weights.pt\n")) == "RuntimeError: weights.pt"
    assert user_function.last_line(KeyError()) == "KeyError"
