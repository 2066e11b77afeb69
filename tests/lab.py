"""A place where whole studies run on a made-up machine, for tests of what commands do."""

from __future__ import annotations

import io
from collections.abc import Callable
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
from autotune.core.results import InterleavedRun, Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from autotune.study.storage import store
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
class Lab:
    """A place where `tune` runs on a made-up machine; `ran` and `sat` hold the machines of all runs."""

    folder: Path
    behave: Behave = fakes.speed
    interrupt_at: int | None = None
    interrupt_run_at: int | None = None
    broken: bool = False
    checked: list[WorkloadSpec] = field(default_factory=list)
    ran: list[fakes.Machine] = field(default_factory=list)
    sat: list[fakes.Interleaver] = field(default_factory=list)
    held: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    @property
    def study(self) -> Path:
        return self.studies / "toy@toy.large"

    def tune(self, text: str = SPACE, **options: Any) -> tuple[bool, str]:
        """Whether something was measured, and what was printed."""
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

    def machine(self, _: object, folder: Path, cache: Path, observer: object) -> Lab:
        self.ran.append(fakes.Machine(folder, self.behave))
        self.sat.append(fakes.Interleaver(folder, interrupt_at=self.interrupt_run_at))
        return self

    def __enter__(self) -> Lab:
        self.held = True
        return self

    def __exit__(self, *_: object) -> None:
        self.held = False

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> None:
        assert self.held
        self.checked.append(workload)
        if self.broken:
            raise ModelError("the workload cannot be built")

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        if len(self.ran[-1].ran) == self.interrupt_at:
            (self.ran[-1].root / spec.folder).mkdir(parents=True)
            (self.ran[-1].root / spec.folder / "spec.json").write_bytes(store.encode(spec))
            raise KeyboardInterrupt
        assert self.held
        return self.ran[-1](spec, rules, incumbent)

    sustain = None

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun:
        assert self.held
        return self.sat[-1](spec, rules)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab in a folder, which becomes the working directory."""
    found = Lab(folder)
    monkeypatch.setattr(tuning, "Machine", found.machine)
    monkeypatch.setattr(tuning.probe, "probe", lambda instance_type=None: HW)
    monkeypatch.chdir(folder)
    return found
