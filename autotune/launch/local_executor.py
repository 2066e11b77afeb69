"""The executor that measures on this machine."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from autotune.analysis.rate_probe import ProbeSpec
from autotune.core.config import Config
from autotune.core.errors import ModelError
from autotune.core.executor import Checked
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.results import InterleavedRun, Sustained, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from autotune.launch import canary_process as canary
from autotune.launch import interleaved, load_test, lock, trial
from autotune.launch.canary_process import CanaryProcess
from autotune.launch.loading import WorkerContext
from autotune.models import artifacts
from autotune.models.artifact_cache import PreparationFailed


class LocalExecutor:
    """Measures on this machine; within its context nobody else does, and a canary runs.

    Specs' folders are relative to `root`. Artifacts are kept in `cache`.
    """

    def __init__(self, hardware: Hardware, root: Path, cache: Path, observer: Observer) -> None:
        self.hardware = hardware
        self.root = root.absolute()
        self.cache = cache.absolute()
        self.observer = observer
        self._stack = contextlib.ExitStack()
        self.context = WorkerContext(hardware, self.cache, observer)
        self._canary: CanaryProcess | None = None

    def __enter__(self) -> LocalExecutor:
        with contextlib.ExitStack() as stack:
            descriptor = stack.enter_context(lock.held(lock.default_path(), self.observer.waiting))
            self.context = WorkerContext(self.hardware, self.cache, self.observer, inherited=(descriptor,))
            self._canary = stack.enter_context(canary.running(self.hardware, self.cache, (descriptor,)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._canary = None
        self._stack.close()

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> Checked:
        """Build the workload once, keep its reference outputs, and say what was found of the model.

        ModelError with the child's last line and its log.
        """
        try:
            made = artifacts.reference(workload, self.hardware, rules, self.context.prepare(rules, None), self.cache)
            if made is None:
                return Checked()
            return Checked(different_rows=artifacts.different_rows(made), findings=artifacts.findings(made))
        except PreparationFailed as error:
            with tempfile.NamedTemporaryFile("w", prefix="autotune-", suffix=".log", delete=False) as file:
                file.write(error.log)
            raise ModelError(
                f"the workload {workload.model} cannot be tuned: {str(error).removeprefix('ModelError: ')} "
                f"(the whole story: {file.name})"
            ) from error

    def prepare(self, workload: WorkloadSpec, config: Config, rules: MeasureRules) -> None:
        """Make all that a configuration loads, unless the cache has it; PreparationFailed where that cannot be had."""
        run = self.context.prepare(rules, None)
        artifacts.ensure(workload, config, self.hardware, rules, run, self.cache)
        artifacts.accuracy(workload, config, self.hardware, rules, run, self.cache)

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        """Measure one configuration; a failure is the result's status. `result.json` is on disk before this returns.

        `incumbent` is the best rate so far (items/s), against which a clearly slower trial is given up.
        """
        return trial.run(self.context, self.canary, spec, rules, incumbent, self.root / spec.folder)

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun | None:
        """Measure several configurations in turn, block by block; one that fails is its candidate's error.

        None if the time was over before there was a first round.
        """
        return interleaved.run(self.context, self.canary, spec, rules, self.root / spec.folder)

    def sustain(self, spec: TrialSpec, rules: MeasureRules, rate: float, seconds: float) -> Sustained:
        """Requests at a rate (a second) for so long, answered by fresh workers; if these fail to run, why.

        Judged by MLPerf's early-stopping rule: too few requests keep nothing.
        """
        ask = ProbeSpec(rate=rate, seconds=seconds)
        return load_test.sustain(self.context, self.canary, spec, rules, ask, self.root / spec.folder)

    @property
    def canary(self) -> CanaryProcess:
        """The running canary; only within the context."""
        assert self._canary is not None, "trials run within `with LocalExecutor(...)`"
        return self._canary
