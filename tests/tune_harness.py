"""Runs `tune` on a fake executor, for tests of what commands do."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from autotune.cli import tune as tuning
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.errors import ModelError
from autotune.core.executor import Checked
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor, speed
from tests.study import fakes

HW = msgspec.structs.replace(fakes.machine(), instance_type="toy.large")
SPACE = """\
name: toy
workload:
  model: torchvision:resnet18
  inputs: [{shape: [batch, 3, 32, 32]}]
search:
  batch_size: [1, 8]
  allocator: [system, tcmalloc, mimalloc]
  backend:
    torch_eager: {}
    onnxruntime: {}
budget: {trials: 4}
"""
OPTIONS: dict[str, Any] = dict.fromkeys(("trials", "minutes", "name", "storage", "seed", "instance_type"))
OPTIONS["skip_confirmation"] = True

Behave = Callable[[Config], float | Status]


@dataclass
class TuneHarness:
    """Runs `tune` in a folder on a fake executor; `executors` are those of all runs, in order."""

    folder: Path
    behave: Behave = speed
    interrupt_at: int | None = None
    interrupt_run_at: int | None = None
    broken: bool = False
    found: Checked = field(default_factory=Checked)
    executors: list[FakeExecutor] = field(default_factory=list)
    held: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    @property
    def study(self) -> Path:
        return self.studies / "toy@toy.large"

    def tune(self, text: str = SPACE, **options: Any) -> tuple[bool, str]:
        """True if something was measured, and the text that was printed."""
        (self.folder / "toy.yaml").write_text(text)
        console = Console(
            file=io.StringIO(), force_terminal=False, width=80, highlight=False, markup=False, emoji=False
        )
        self.options = {"studies": self.studies} | OPTIONS | options
        try:
            measured = tuning.tune(console, str(self.folder / "toy.yaml"), **self.options)
        finally:
            self.printed = printed(console)
        return measured, self.printed

    def best(self) -> Best:
        return msgspec.json.decode((self.study / "best.json").read_bytes(), type=Best)

    @contextlib.contextmanager
    def executor(self, _: object, folder: Path, cache: Path, observer: object) -> Iterator[FakeExecutor]:
        """In the place of LocalExecutor."""
        found = FakeExecutor(folder, self.behave, hardware=HW, before=self._before, interrupt_run=self.interrupt_run_at)
        self.executors.append(found)
        self.held = True
        try:
            found.check = self.check  # type: ignore[method-assign]
            yield found
        finally:
            self.held = False

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> Checked:
        assert self.held
        self.executors[-1].checked.append(workload)
        if self.broken:
            raise ModelError("the workload cannot be built")
        return self.found

    def _before(self, spec: TrialSpec | InterleavedSpec, rules: MeasureRules) -> None:
        assert self.held
        running = self.executors[-1]
        if isinstance(spec, TrialSpec) and len(running.trials) == self.interrupt_at:
            (running.root / spec.folder).mkdir(parents=True)
            (running.root / spec.folder / "spec.json").write_bytes(store.encode(spec))
            raise KeyboardInterrupt


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def harness_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TuneHarness:
    """A harness in a folder, which becomes the working directory."""
    found = TuneHarness(folder)
    monkeypatch.setattr(tuning, "LocalExecutor", found.executor)
    monkeypatch.setattr(tuning.probe, "probe", lambda instance_type=None: HW)
    monkeypatch.chdir(folder)
    return found
