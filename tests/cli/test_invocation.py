from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from autotune.cli import invocation


def test_printed_commands_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert invocation.program() == ".venv/bin/python -m autotune"
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    assert shlex.split(invocation.program()) == ["/opt/my python/bin/python", "-m", "autotune"]
    monkeypatch.setattr(shutil, "which", lambda name: "/opt/my python/bin/python")
    assert invocation.program() == "python -m autotune"


def test_the_command_that_goes_on_hides_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:secret@host/db"
    monkeypatch.setattr(sys, "argv", ["autotune", "--space", "s.yaml", "--storage", url])
    assert "secret" not in invocation.again(url)
    assert invocation.again(url).endswith("--space s.yaml --storage 'postgresql://me:***@host/db'")
