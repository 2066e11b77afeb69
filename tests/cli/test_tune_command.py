from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from autotune import __version__
from autotune.cli import tune
from tests.cli.conftest import SPACE, Done, Run


def test_without_arguments_the_help_is_shown_as_a_usage_error(run: Run) -> None:
    assert run().status == 2
    assert run().out == run("--help").out


def test_version(run: Run) -> None:
    assert run("--version") == Done(0, f"autotune {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--space", "toy.yaml", "show", "x"], "got --space before show"),
        (["--space", "toy.yaml", "doctor"], "got --space before doctor"),
        (["--from", "x", "doctor"], "got --from before doctor"),
        (["--frob"], "--frob"),
        (["frob"], "frob"),
        (["show"], "study"),
        (["show", "a", "b"], "b"),
        (["doctor", "--frob"], "--frob"),
        (["--trials", "0", "--space", "toy.yaml"], "--trials"),
        (["--trials", "many", "--space", "toy.yaml"], "--trials"),
        (["--minutes", "0", "--space", "toy.yaml"], "--minutes"),
        (["--minutes", "nan", "--space", "toy.yaml"], "--minutes"),
        (["--minutes", "inf", "--space", "toy.yaml"], "--minutes"),
        (["--seed", "-1", "--space", "toy.yaml"], "--seed"),
        (["--seed", str(2**64), "--space", "toy.yaml"], "--seed"),
        (["--space"], "--space"),
    ],
)
def test_wrong_usage_is_exit_2(run: Run, tmp_path: Path, argv: list[str], says: str) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    done = run(*argv)
    assert (done.status, done.out) == (2, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("Error: ") and says in last
    assert os.listdir(tmp_path) == ["toy.yaml"]


def test_a_study_and_its_table(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    studies = ["--studies", "st[red]"]
    done = quick("--space", "toy.yaml", *studies, "--trials", "2", "--skip-confirmation")
    assert (done.status, done.err) == (0, "")
    assert "study     st[red]/toy@toy.large\n" in done.out
    assert "   2/2  torch_eager contiguous float32, batch 2, 1x" in done.out
    again = quick("show", "toy@toy.large", *studies)
    assert again.status == 0 and "10.4/s" in again.out
    assert again.out.endswith("file      'st[red]/toy@toy.large/best.json'\n")


def test_a_study_is_confirmed_unless_that_is_skipped(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    best = tmp_path / "studies" / "toy@toy.large" / "best.json"
    command = ("--space", "toy.yaml", "--trials", "2")
    skipped = quick(*command, "--skip-confirmation")
    assert skipped.status == 0 and "confirming" not in skipped.out
    assert json.loads(best.read_text())["confirmed"] is False
    confirmed = quick(*command)
    assert confirmed.status == 0 and "\nconfirming 2 configurations against each other" in confirmed.out
    assert json.loads(best.read_text())["confirmed"] is True


def test_a_coloured_log_is_not_redrawn(quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = quick("--space", "toy.yaml").out
    assert "\x1b[1;32m10.2/s" in out
    assert not re.search(r"\x1b\[[0-9;?]*[A-Zhl]|\r", out)


def test_a_study_that_measured_nothing_is_exit_4(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "tune", lambda *_, **__: False)
    assert run("--space", "toy.yaml") == Done(4, "", "")
