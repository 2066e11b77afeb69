from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from autotune.apply import run as applying
from autotune.apply import verify as verifying
from autotune.apply.verification import Verdict, Verification
from autotune.core.errors import NotStarted
from autotune.report.export import writer
from tests.apply import made as apply_made
from tests.cli.conftest import ROOT, Done, Run


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_run_starts_the_program_after_the_dashes(tmp_path: Path, force: list[str]) -> None:
    best = apply_made.best(environment={}, preload=())
    writer.write(tmp_path / "best.json", best)
    command = [sys.executable, "-m", "autotune", "run", str(tmp_path / "best.json"), *force, "--", "sh", "-c", "exit 5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 5, done


def test_a_program_that_cannot_be_started_has_the_status_of_a_shell(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> NoReturn:
        raise NotStarted("frob: not found", status=127)

    monkeypatch.setattr(applying, "run", missing)
    assert run("run", "best.json", "--", "frob") == Done(127, "", "autotune: frob: not found\n")


@pytest.mark.parametrize(("verdict", "status"), [("holds", 0), ("fails", 4), ("unresolved", 4)])
def test_a_claim_that_does_not_hold_is_exit_4(
    run: Run, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, status: int
) -> None:
    found = Verification(
        verdict=verdict,
        reasons=(),
        objective="throughput",
        ratio=None,
        claimed=None,
        baseline_known=True,
        differences=(),
    )
    monkeypatch.setattr(verifying, "verify", lambda *_, **__: found)
    done = run("verify", "best.json", "--format", "json")
    assert (done.status, json.loads(done.out)["verdict"]) == (status, verdict)
