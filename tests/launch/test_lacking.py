from __future__ import annotations

from pathlib import Path

import pytest

from autotune.launch.lacking import explained

SET = {"MODEL_DIR": "/models", "PATH": "/bin", "OMP_NUM_THREADS": "4", "HF_HOME": "/hub", "M": "1"}
ADVICE = "MODEL_DIR is set in your shell and not handed on to the child; write workload.env: [MODEL_DIR]"


def traced(path: Path) -> str:
    return f'Traceback (most recent call last):\n  File "{path}", line 3, in build\n    load(folder)\nOSError: gone\n'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(
        'import os\nfolder = os.environ.get("MODEL_DIR", "/nowhere")\nmode = os.getenv(\'OMP_NUM_THREADS\')\n'
    )
    return path


@pytest.mark.parametrize("message", ["KeyError: 'MODEL_DIR'", "set MODEL_DIR first", 'no "MODEL_DIR"', "$MODEL_DIR/x"])
def test_a_variable_that_the_message_has_is_named(message: str) -> None:
    assert explained(message, "", SET, ()) == f"{message}; {ADVICE}"


@pytest.mark.parametrize(
    "message",
    ["KeyError: 'PATH'", "KeyError: 'HF_HOME'", "KeyError: 'UNSET'", "MODEL_DIRS", "M is wrong", "OMP_NUM_THREADS"],
)
def test_no_other_word_is_one(message: str) -> None:
    assert explained(message, "", SET, ()) == message


def test_a_short_name_counts_in_quotes() -> None:
    assert explained("KeyError: 'M'", "", SET, ()).endswith("write workload.env: [M]")


def test_the_users_file_may_read_it(model: Path) -> None:
    assert explained("OSError: gone", traced(model), SET, ()) == f"OSError: gone; {ADVICE}"
    assert explained("OSError: gone", traced(model), {"PATH": "/bin"}, ()) == "OSError: gone"


def test_what_installed_packages_read_does_not_count(model: Path) -> None:
    packages = model.parent / "site-packages"
    packages.mkdir()
    model.rename(packages / "model.py")
    assert explained("OSError: gone", traced(packages / "model.py"), SET, ()) == "OSError: gone"


def test_those_that_are_named_already_are_written_with_it(model: Path) -> None:
    told = explained("KeyError: 'MODEL_DIR'", "", SET, ["OTHER"])
    assert told.endswith("write workload.env: [OTHER, MODEL_DIR]")


def test_several_are_named_together() -> None:
    told = explained("MODEL_DIR or DATA_DIR", "", SET | {"DATA_DIR": "/data"}, ())
    assert "; DATA_DIR and MODEL_DIR are set in your shell" in told
    assert told.endswith("write workload.env: [DATA_DIR, MODEL_DIR]")


def test_one_that_is_named_may_not_be_set() -> None:
    told = explained("KeyError: 'DATA_DIR'", "", SET, ["DATA_DIR"])
    assert told == "KeyError: 'DATA_DIR'; workload.env names DATA_DIR, not set in your shell; export it"


def test_one_that_is_named_may_be_a_relative_path(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = explained("OSError: gone", traced(model), {"MODEL_DIR": "model.py"}, ["MODEL_DIR"])
    assert "; MODEL_DIR is a relative path, and a child runs in another folder; make it absolute" in told
    assert explained("OSError: gone", traced(model), SET, ["MODEL_DIR"]) == "OSError: gone"


@pytest.mark.parametrize(
    "message",
    [
        "ModuleNotFoundError: No module named 'mypkg'",
        "ModuleNotFoundError: No module named 'mypkg.part'",
        "ImportError: cannot import name 'build' from 'mypkg' (/elsewhere/mypkg.py)",
    ],
)
def test_a_module_that_lies_on_pythonpath(tmp_path: Path, message: str) -> None:
    (tmp_path / "lib" / "mypkg").mkdir(parents=True)
    (tmp_path / "lib" / "mypkg" / "__init__.py").touch()
    environ = {"PYTHONPATH": f"/nowhere:{tmp_path / 'lib'}"}
    advice = "PYTHONPATH is set in your shell and not handed on to the child; write workload.env: [PYTHONPATH]"
    assert explained(message, "", environ, ()) == f"{message}; {advice}"
    assert explained("it failed", f"...\n{message}\n", environ, ()) == f"it failed; {advice}"
    model = tmp_path / "model.py"
    model.write_text("os.environ['MODEL_DIR']")  # which has nothing to do with it
    assert explained(message, traced(model), environ | SET, ()) == f"{message}; {advice}"
    assert explained(message, "", environ, ["PYTHONPATH"]) == message
    assert explained(message, "", {"PYTHONPATH": str(tmp_path)}, ()) == message
