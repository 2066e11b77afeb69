"""What a plugin module offers, and what it is handed: the contracts between plugins and the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autotune.results import Block, Sitting, TrialResult
from autotune.rules import MeasureRules
from autotune.types import Config, Hardware, LaunchPatch, SittingSpec, TrialSpec, Value, WorkloadSpec

if TYPE_CHECKING:
    import numpy as np


class Workload(Protocol):
    """A workload in a child process, as backends see it."""

    spec: WorkloadSpec

    def module(self) -> Any:
        """The model as a torch module in eval mode."""

    def arrays(self, batch_size: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The inputs: row i is the same for every batch size."""


class Session(Protocol):
    """A loaded model in the measured process, exactly as production would run it."""

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """Inputs in the runtime's own form, made once outside the measured calls."""

    def __call__(self, batch: Any) -> Any:
        """Run the model."""

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """What a call returned, as arrays."""

    def close(self) -> None:
        """Release the runtime."""


class Knob(Protocol):
    """A module in `knobs/`: a setting of the process.

    `without_effect` is the reason why a value changes nothing in a configuration whose backend uses these packages.
    """

    Value: Any

    def default(self, hw: Hardware) -> Value: ...
    def domain(self, hw: Hardware) -> tuple[Value, ...]: ...
    def unavailable(self, value: Any, hw: Hardware) -> str | None: ...
    def without_effect(self, value: Any, config: Config, packages: tuple[str, ...]) -> str | None: ...
    def launch(self, value: Any, hw: Hardware) -> LaunchPatch: ...
    def applied(self, value: Any, hw: Hardware) -> str | None: ...


class Backend(Protocol):
    """A module in `backends/`: what runs the model. `source` names the backend and options it is made from.

    Of the options only what `cache_key` returns decides whether an artifact can be shared; None is nothing to prepare.
    It may offer `domains(hw)`: what `auto` stands for, by option, where that is not every available value.
    """

    Options: Any
    packages: tuple[str, ...]

    def unavailable(self, options: Any, hw: Hardware) -> str | None: ...
    def launch(self, options: Any, config: Config, hw: Hardware) -> LaunchPatch: ...
    def source(self, options: Any) -> tuple[str, dict[str, Value]] | None: ...
    def cache_key(self, options: Any, config: Config, hw: Hardware) -> tuple[Any, ...] | None: ...
    def prepare(
        self, workload: Workload, options: Any, config: Config, hw: Hardware, folder: Path, source: Path | None
    ) -> None: ...
    def load(self, workload: Workload, options: Any, config: Config, folder: Path | None) -> Session: ...
    def applied(self, session: Any, options: Any, config: Config) -> str | None: ...


class Provider(Protocol):
    """A module in `workloads/`: where models come from.

    It may offer `paths`, the options that name files (relative to the space file), and `default_inputs(name)`.
    """

    Options: Any
    packages: tuple[str, ...]

    def unavailable(self, options: Any, hw: Hardware) -> str | None: ...
    def cache_key(self, name: str, options: Any) -> tuple[Any, ...]: ...
    def judged(self, options: Any) -> bool: ...
    def build(self, name: str, options: Any, seed: int) -> Any: ...


Execute = Callable[[TrialSpec, MeasureRules, float | None], TrialResult]
"""Runs one trial wholly on one machine, given the rules and the best rate so far (samples/s) or None."""


Sit = Callable[[SittingSpec, MeasureRules], Sitting | None]
"""Measures several configurations in turn, block by block, wholly on one machine; None if the time was too short."""


class Observer(Protocol):
    """Who watches a study; called only while nothing is measured, so it may draw."""

    def waiting(self, holder: str) -> None:
        """Another process measures on this machine; it is waited for."""

    def started(self, spec: TrialSpec) -> None:
        """A trial begins."""

    def preparing(self, what: str) -> None:
        """An artifact is being made, which may take a minute."""

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        """A block was measured; all blocks of the trial so far."""

    def ended(self, result: TrialResult) -> None:
        """A trial has its result, already on disk."""

    def confirming(self, what: str) -> None:
        """A part of the confirmation begins."""

    def sitting(self, spec: SittingSpec, number: int) -> None:
        """Round `number` of a sitting begins."""
