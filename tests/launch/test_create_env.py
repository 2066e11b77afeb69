from __future__ import annotations

import dataclasses
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import InterpreterError
from autotune.core.results import Status
from autotune.hardware import interpreters
from autotune.launch import create_env
from tests.conftest import ExtendedPackage
from tests.hardware.test_interpreters import installed


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real environment with links to our own msgspec and numpy, and nothing else."""
    prefix = tmp_path_factory.mktemp("environments") / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    (site,) = prefix.glob("lib/python3*/site-packages")
    for pattern in ("msgspec*", "numpy*"):
        for path in Path(sysconfig.get_path("platlib")).glob(pattern):
            (site / path.name).symlink_to(path)
    return prefix


def test_a_trial_runs_in_another_environment_and_sees_nothing_of_ours(
    lab: ExtendedPackage, tmp_path: Path, bare: Path
) -> None:
    hardware = msgspec.structs.replace(lab.hardware, environments=interpreters.find(bare.parent))
    assert list(hardware.environments) == ["bare"]
    there = dataclasses.replace(lab, hardware=hardware)
    spec = there.spec("faulty", {"mode": "fine", "round": 0}, interpreter="bare", witness=True)
    (result,) = there.execute(tmp_path, [spec]).results
    assert (result.status, result.error) == (Status.OK, None)
    seen = (tmp_path / spec.folder / "stdout.log").read_text()
    assert "modules:" in seen and "torch" not in seen.split()
    assert result.fidelity is not None


def test_another_backend_needs_its_framework_there(lab: ExtendedPackage, bare: Path) -> None:
    from autotune.space import configs

    hardware = msgspec.structs.replace(lab.hardware, environments=interpreters.find(bare.parent))
    config = configs.configure(hardware, batch_size=1, backend="torch_eager", knobs={"interpreter": "bare"})
    assert configs.unavailable(config, hardware) == (
        "torch_eager in the environment bare: torch not installed; pip install torch"
    )
    gone = msgspec.structs.replace(hardware, environments={})
    assert "no environment bare" in (configs.unavailable(config, gone) or "")


def test_an_environment_is_checked_by_starting_it(bare: Path, tmp_path: Path) -> None:
    assert create_env.problem(bare) is None
    broken = tmp_path / "broken"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", broken], check=True)
    (site,) = broken.glob("lib/python3*/site-packages")
    for name in ("msgspec", "numpy"):
        (site / f"{name}-1.0.dist-info").mkdir()
        (site / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0")
    assert "No module named" in (create_env.problem(broken) or "")
    with pytest.raises(InterpreterError, match="cannot run workers: ModuleNotFoundError"):
        create_env.add(tmp_path / "environments", "x", broken)
    assert not (tmp_path / "environments").exists()


def test_one_that_borrows_packages_cannot_prove_what_it_runs(bare: Path, tmp_path: Path) -> None:
    borrowing = tmp_path / "borrowing"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", borrowing], check=True)
    (site,) = borrowing.glob("lib/python3*/site-packages")
    for path in bare.glob("lib/python3*/site-packages/*"):
        (site / path.name).symlink_to(path)
    reason = create_env.problem(borrowing)
    assert reason is not None and reason.startswith("the worker also sees /")


def test_adding_and_removing_leaves_the_environment_itself(bare: Path, tmp_path: Path) -> None:
    assert create_env.add(tmp_path, "mine", bare).packages.keys() >= {"msgspec", "numpy"}
    assert list(interpreters.find(tmp_path)) == ["mine"]
    with pytest.raises(InterpreterError, match="there is an environment 'mine' already"):
        create_env.add(tmp_path, "mine", bare)
    create_env.remove(tmp_path, "mine")
    assert interpreters.find(tmp_path) == {}
    assert (bare / "bin/python").exists()


@pytest.mark.parametrize("name", ["", "own", "a/b", "..", "-x", "a b"])
def test_names_that_could_be_mistaken_are_refused(name: str, bare: Path, tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="cannot be named"):
        create_env.add(tmp_path, name, bare)


def test_removing_what_is_not_there_names_what_is(tmp_path: Path, bare: Path) -> None:
    create_env.add(tmp_path, "mine", bare)
    with pytest.raises(InterpreterError, match="no environment 'other'; there are: mine"):
        create_env.remove(tmp_path, "other")


def test_a_name_whose_environment_is_gone_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InterpreterError, match="no environment 'other'; there are: gone"):
        create_env.remove(tmp_path, "other")
    create_env.remove(tmp_path, "gone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("#!/no/such/python\n", "bin/python does not start: No such file or directory"),
        ("no program\n", "bin/python does not start: Exec format error"),
        ("#!/bin/sh\nexec /bin/sleep 100\n", "bin/python gave no answer within 0.5 s"),
    ],
)
def test_a_python_that_does_not_start_or_answer_has_a_reason(tmp_path: Path, program: str, why: str) -> None:
    installed(tmp_path, msgspec="0.19", numpy="2.0")
    (tmp_path / "bin/python").write_text(program)
    assert create_env.problem(tmp_path, timeout_s=0.5) == f"{tmp_path}/{why}"


def test_what_we_import_is_hidden_from_those_who_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "venv.py").write_text("raise SystemExit('ours')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InterpreterError, match="-m pip install"):
        create_env.create(tmp_path / "made", "new", sys.executable, ["--no-index", "no-such-package"])


def test_one_that_cannot_be_made_leaves_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InterpreterError, match="does not start"):
        create_env.create(tmp_path, "new", "no-such-python", [])
    with pytest.raises(InterpreterError, match="exit status"):
        create_env.create(tmp_path, "new", "/bin/false", [])
    assert not (tmp_path / "new").exists()
