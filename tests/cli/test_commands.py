from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from autotune import __version__
from autotune.cli import tune
from autotune.space import find, json_schema
from tests.cli.conftest import COMMANDS, ROOT, SPACE, Done, Run


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


def test_spaces_lists_what_is_shipped(run: Run) -> None:
    lines = run("spaces").out.splitlines()
    assert [line.split()[0] for line in lines] == [path.name for path in find.shipped()]
    assert all(Path(line.split()[1]).is_file() for line in lines)


def test_schema_is_json(run: Run) -> None:
    assert json.loads(run("schema").out) == json_schema.schema()


def test_doctor_has_a_line_for_each_setting(run: Run) -> None:
    done = run("doctor")
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    settings = [line.split()[0] for line in done.out.splitlines() if line and not line.startswith("not ")]
    assert settings[:6] == ["machine", "cpu", "usable", "isa", "memory", "software"]
    assert {"allocator", "huge_pages", "layout", "backend"} <= set(settings)
    assert "toy.large" in done.out.splitlines()[0]


def test_the_cache_is_shown_and_cleared(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    made = folder / "artifacts" / ("ab" * 32)
    made.mkdir(parents=True)
    manifest = {"what": "a model [x]", "prepare_s": 65, "files": {"m": {"bytes": 3 * 2**20, "sha256": ""}}}
    (made / "manifest.json").write_text(json.dumps(manifest))
    (folder / "mine.txt").touch()
    assert run("cache").out == f"    3 MiB  a model [x]  made in 1 min 05 s\n    3 MiB  in {folder}\n"
    assert run("cache", "--clear") == Done(0, f"cleared {folder}\n", "")
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    assert (folder / "mine.txt").exists()


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
    assert confirmed.status == 0 and "\nconfirming 2 configurations against each other\n" in confirmed.out
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
