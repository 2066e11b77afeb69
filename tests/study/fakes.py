"""A machine, a space and studies made by hand, so that a study can be tested without running a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import optuna

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.results import Block, TrialResult
from autotune.core.space_types import Budget, Domains, Limit, Space
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.space import configs
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy, opened
from tests.fake_executor import measured
from tests.fake_hardware import machine

TEXT = "name: toy\n"
WORKLOAD = WorkloadSpec(model="torchvision:resnet18", inputs=(InputSpec(shape=("batch", 3, 32, 32)),))

DOMAINS = Domains(
    batch_size=(1, 2, 4, 8, 16),
    knobs={"allocator": ("system", "tcmalloc", "jemalloc"), "layout": ("1x2", "2x1")},
    backends={
        "torch_eager": {"memory_format": ("contiguous", "channels_last")},
        "torch_compile": {"memory_format": ("contiguous", "channels_last"), "freezing": (False, True)},
        "onnxruntime": {"precision": ("float32",)},
        "openvino": {"precision": ("float32", "int8")},
    },
)

SMALL = Domains(
    batch_size=(1, 8), knobs={"allocator": ("system", "tcmalloc")}, backends={"torch_eager": {}, "onnxruntime": {}}
)


def plain(hw: Hardware, batch_size: int = 1) -> Config:
    """The baseline."""
    return configs.configure(hw, batch_size=batch_size, backend="torch_eager", options={}, knobs={})


def resolved(
    hw: Hardware,
    domains: Domains = DOMAINS,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> Space:
    """A space that is searched for so many trials or minutes."""
    workload = msgspec.structs.replace(WORKLOAD, seed=seed)
    budget = Budget(trials=trials, minutes=minutes)
    return Space(name="toy", workload=workload, domains=domains, baseline=plain(hw), budget=budget)


class Watcher(Observer):
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.over: list[TrialResult] = []
        self.parts: list[str] = []
        self.notices: list[str] = []

    def waiting(self, holder: str) -> None:
        raise AssertionError("a study takes no machine itself")

    def started(self, spec: TrialSpec) -> None:
        self.begun.append(spec.id)

    def preparing(self, what: str) -> None:
        raise AssertionError("the search prepares nothing itself")

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        raise AssertionError("the search measures nothing itself")

    def ended(self, result: TrialResult) -> None:
        self.over.append(result)

    def confirming(self, what: str, seconds: float, claims: bool = False) -> None:
        self.parts.append(what)

    def notice(self, line: str) -> None:
        self.notices.append(line)

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        raise AssertionError("a study measures nothing itself")


def in_memory(folder: Path, found: Space, hw: Hardware) -> OpenStudy:
    """A study whose storage is not on disk: ten times faster, for tests of the search's logic."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(direction="maximize")
    return OpenStudy(folder=folder, space=found, hardware=hw, optuna=study)


def searched(
    folder: Path,
    rates: dict[Config, float],
    minutes: float | None = 30.0,
    constraints: tuple[Limit, ...] = (),
    **fields: dict[Config, Any],
) -> OpenStudy:
    """A study whose search measured these at these rates; `fields` are those of the results, by configuration."""
    hw = machine()
    space = msgspec.structs.replace(resolved(hw, minutes=minutes), constraints=constraints)
    study = in_memory(folder, space, hw)
    for number, (config, rate) in enumerate(rates.items()):
        spec = TrialSpec(id=number, workload=WORKLOAD, config=config, folder=store.trial_folder(number))
        (folder / spec.folder).mkdir()
        given = {name: values[config] for name, values in fields.items() if config in values}
        store.write_result(folder, msgspec.structs.replace(measured(spec, rate), **given))
    return study


@contextlib.contextmanager
def on_disk(folder: Path, found: Space, hw: Hardware, url: str | None = None) -> Iterator[OpenStudy]:
    """A study as a user's command opens it."""
    with opened(folder, found, TEXT, hw, url) as study:
        yield study
