"""The seam between a study and a machine: whatever can measure configurations is an Executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from autotune.core.finding import Finding
from autotune.core.results import InterleavedRun, Sustained, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import WorkloadSpec

R = TypeVar("R")


@dataclass(frozen=True)
class Checked:
    """What is known of a workload that was built: its different real rows, 0 where its inputs are made up.

    `findings` are what the check of the model found.
    """

    different_rows: int = 0
    findings: tuple[Finding, ...] = ()


class Executor(Protocol):
    """A machine that measures configurations; specs go in, results come out.

    Each call runs wholly on one machine. An executor knows no study and no storage: a spec's `folder` is relative to
    the executor's own root, and what it writes there (logs, latencies) stays below that folder. A configuration that
    fails is a value in the result, never an exception.
    """

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> Checked:
        """Build the workload once, keep its reference outputs, and say what was found of the model.

        ModelError if it cannot be built or tuned.
        """

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        """Run one trial; its result is in `result.json` in the trial's folder, too.

        `incumbent` is the best rate so far (samples/s), against which a clearly slower trial is given up.
        """

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun | None:
        """Measure several configurations in turn, block by block; None if the time ended before the first round."""

    def sustain(self, spec: TrialSpec, rules: MeasureRules, rate: float, seconds: float) -> Sustained:
        """Serve requests at a rate (a second) for so many seconds with one configuration; the probe, or the error."""


@dataclass(frozen=True)
class HookedExecutor:
    """An executor that calls `before` and `after` around each measurement of another one, however that ends."""

    executor: Executor
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> Checked:
        """As the other; no measurement."""
        return self.executor.check(workload, rules)

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        """As the other."""
        return self._hooked(lambda: self.executor.execute(spec, rules, incumbent))

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun | None:
        """As the other."""
        return self._hooked(lambda: self.executor.interleave(spec, rules))

    def sustain(self, spec: TrialSpec, rules: MeasureRules, rate: float, seconds: float) -> Sustained:
        """As the other."""
        return self._hooked(lambda: self.executor.sustain(spec, rules, rate, seconds))

    def _hooked(self, measure: Callable[[], R]) -> R:
        self.before()
        try:
            return measure()
        finally:
            self.after()
