from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

import autotune
from autotune.report.export import writer
from autotune.space import find
from tests.apply import made as apply_made
from tests.cli.conftest import COMMANDS, ROOT, Done, Run


def test_help_lists_every_command(run: Run) -> None:
    done = run("--help")
    listed = re.findall(r"^  ([a-z]+)  ", done.out.partition("Commands:")[2], re.MULTILINE)
    assert (done.status, done.err) == (0, "")
    assert set(listed) == COMMANDS
    options = set(re.findall(r"--[a-z-]+", done.out))
    assert options == {
        "--space", "--trials", "--minutes", "--name", "--studies", "--storage", "--seed", "--instance-type",
        "--skip-confirmation", "--prices", "--from", "--sampler", "--no-budget", "--version", "--help",
    }  # fmt: skip


def test_the_readme_has_every_command(run: Run) -> None:
    commands = (ROOT / "README.md").read_text()
    assert not [name for name in COMMANDS if f"`{name}`" not in commands and f"autotune {name}" not in commands]


def test_another_system_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "autotune needs Linux (pinning, /proc, LD_PRELOAD); this is darwin" in run("doctor").mistake


def test_a_bug_is_exit_3_with_its_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> NoReturn:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(find, "shipped", broken)
    done = run("spaces")
    assert (done.status, done.out) == (3, "")
    found = re.fullmatch(r"autotune: a bug in autotune; please report it with the log (\S+)\n", done.err)
    assert found is not None
    log = Path(found[1]).read_text()
    assert log.startswith("Traceback (most recent call last):") and log.endswith("RuntimeError: two\nlines\n")
    assert "in broken" in log


def test_a_missing_file_that_nobody_expected_is_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "shipped", lambda: Path("nowhere").read_text())
    assert run("spaces").status == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_any_command_with_its_status(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    def interrupted() -> tuple[Path, ...]:
        os.kill(os.getpid(), number)
        return ()

    monkeypatch.setattr(find, "shipped", interrupted)
    assert run("spaces") == Done(status, "", "")


@pytest.mark.parametrize("command", [["spaces"], ["doctor"], ["schema"], ["--help"]])
def test_a_reader_that_has_enough_is_no_bug(command: list[str]) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "autotune", *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None and program.stderr is not None
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait() == 1


@pytest.mark.parametrize("command", ["doctor", "schema"])
def test_a_full_disk_under_the_output_is_one_line(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "autotune", command], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"autotune: No space left on device: writing the output\n")


def imported(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "autotune", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}


HEAVY = {"optuna", "numpy", "torch", "scipy", "sqlalchemy", "yaml", "psutil"}


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    modules = imported(*argv)
    assert {"autotune", "typer"} <= modules
    assert not modules & (HEAVY | {"rich", "msgspec"})


def test_doctor_imports_no_framework() -> None:
    modules = imported("doctor")
    assert {"autotune", "rich", "msgspec"} <= modules
    assert not modules & {"optuna", "torch", "torchvision", "onnxruntime", "openvino", "onnx", "nncf", "numpy"}


def test_the_public_names_are_those_that_completion_offers() -> None:
    assert dir(autotune) == sorted(autotune.__all__)


def test_a_best_json_is_exported_by_itself_and_picks_nothing(run: Run, tmp_path: Path) -> None:
    writer.write(tmp_path / "best.json", apply_made.best(environment={"A": "b"}, preload=()))
    done = run("export", str(tmp_path / "best.json"), "--format", "env")
    assert (done.status, done.err) == (0, "") and "A=b\n" in done.out
    assert run("export", str(tmp_path / "best.json"), "--pick", "3").status == 2
    missing = str(tmp_path / "no" / "such")
    assert "cannot be written" in run("export", str(tmp_path / "best.json"), "-o", missing).mistake
