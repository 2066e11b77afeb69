"""A folder in which `python -m autotune` is run in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from autotune.core.best import Best
from autotune.core.results import Status, TrialResult
from autotune.study.storage import store

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300
QUICKLY = str(ROOT / "tests" / "extra" / "quickly.py")
FRAMEWORKS = {"torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "openvino", "nncf"}


@dataclass(frozen=True)
class Place:
    """A folder in which the program is run, with a cache that all tests share."""

    folder: Path
    cache: Path

    @property
    def study(self) -> Path:
        return self.folder / "studies" / "mine"

    @property
    def environ(self) -> dict[str, str]:
        own = {"AUTOTUNE_CACHE": str(self.cache), "TMPDIR": str(self.folder), "PYTHONPATH": str(ROOT)}
        return {
            name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "TTY_COMPATIBLE")
        } | own

    def start(self, *argv: str) -> subprocess.Popen[str]:
        # A shell may have had us ignore SIGINT; the program would inherit that.
        return subprocess.Popen(
            [sys.executable, *argv],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        with self.start(*argv) as program:
            out, err = program.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(argv, program.returncode, out, err)

    def autotune(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "autotune", *argv)

    def tune(self, text: str, *options: str) -> tuple[str, ...]:
        """The command that tunes a space, without a confirmation unless other options are given."""
        (self.folder / "space.yaml").write_text(text)
        return ("-m", "autotune", "--space", "space.yaml", "--name", "mine", *(options or ("--skip-confirmation",)))

    def start_quickly(self, command: tuple[str, ...]) -> subprocess.Popen[str]:
        """The command of `tune` under the rules of tests."""
        return self.start(QUICKLY, *command[2:])

    def run_quickly(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return self.run(QUICKLY, *command[2:])

    def imported(self) -> set[str]:
        """The packages that the last program under the rules of tests had imported at its end."""
        return {name.partition(".")[0] for name in (self.folder / "imported.txt").read_text().split()}

    def best(self) -> Best:
        return msgspec.json.decode((self.study / "best.json").read_bytes(), type=Best)

    def settled(self) -> list[TrialResult]:
        return [found for found in store.results(self.study) if found.status is not Status.INTERRUPTED]


def workers_of(program: subprocess.Popen[str], folder: Path, what: str) -> list[int]:
    """Waits until a trial or candidate runs; the process ids of everything that the coordinator has started."""
    deadline = time.monotonic() + PATIENCE_S
    while not ((record := next(folder.glob(f"{what}/processes.json"), None)) and record.read_bytes()):
        assert program.poll() is None and time.monotonic() < deadline, program.communicate()
        time.sleep(0.01)
    found = [child.pid for child in psutil.Process(program.pid).children(recursive=True)]
    assert {entry["pid"] for entry in json.loads(record.read_bytes())} <= set(found)
    return found
