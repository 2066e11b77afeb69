from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from autotune.cli import app, tune
from autotune.core.machine import Hardware
from autotune.launch import canary_process, process
from tests.fake_executor import FakeExecutor
from tests.tune_harness import TuneHarness, harness_in

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "show", "report", "dashboard", "compare", "export", "run", "verify", "doctor", "plan", "spaces", "schema",
    "environments", "cache",
}  # fmt: skip
SECRET = "hunter2"
WORKLOAD = "name: toy\nworkload: {model: 'torchvision:resnet18', inputs: [{shape: [batch, 3, 32, 32]}]}\n"
SPACE = f"{WORKLOAD}search: {{batch_size: [1, 2], backend: {{torch_eager: {{}}}}}}\nbudget: {{trials: 1}}\n"
TOO_LONG = "x" * 300
MNT_DETACH = 2


@dataclass(frozen=True)
class Done:
    """The outcome of a command: its exit status and the text that it wrote."""

    status: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """The one line of a user's mistake."""
        assert self.status == 1, self
        assert self.err.startswith("autotune: ") and self.err.endswith("\n") and self.err.count("\n") == 1, self.err
        return self.err


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command line, in this process and an empty folder, where no child may be started."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a child was started")

    @contextlib.contextmanager
    def unheard(*_: object) -> Iterator[None]:
        yield

    def command(*argv: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["autotune", *argv])
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert isinstance(ended.value.code, int)
        out, err = capfd.readouterr()
        return Done(ended.value.code, out, err)

    monkeypatch.setattr(process, "spawn", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(canary_process, "running", unheard)
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTOTUNE_INSTANCE_TYPE", "toy.large")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield command
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def quick(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same, where trials take no time."""

    @contextlib.contextmanager
    def executor(hw: Hardware, folder: Path, cache: Path, observer: object) -> Iterator[FakeExecutor]:
        yield FakeExecutor(folder, hardware=hw)

    monkeypatch.setattr(tune, "LocalExecutor", executor)
    return run


@pytest.fixture
def begun(quick: Run, tmp_path: Path) -> Path:
    """The folder of a study that is done."""
    (tmp_path / "toy.yaml").write_text(SPACE)
    assert quick("--space", "toy.yaml").status == 0
    return tmp_path / "studies" / "toy@toy.large"


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TuneHarness:
    return harness_in(tmp_path, monkeypatch)
