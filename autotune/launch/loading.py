"""From a configuration to workers that hold it loaded, verified and proven; shared by trials and interleaved runs."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

import autotune
from autotune.core.answers import Accuracy
from autotune.core.errors import CacheError, MachineError
from autotune.core.files import write_array
from autotune.core.machine import OWN, Hardware
from autotune.core.observer import Observer
from autotune.core.protocol import Finish, Finished, MeasureJob, PrepareJob, Ready
from autotune.core.results import ArtifactRef, Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from autotune.hardware import allowance, interpreters
from autotune.hardware.allowance import Allowance
from autotune.launch import environment, lacking, launch_plan, worker_pool
from autotune.launch.patience import Setup
from autotune.launch.worker_pool import WorkerFailed, Workers
from autotune.models import artifacts
from autotune.models.artifact_cache import PreparationFailed


@dataclass(frozen=True)
class WorkerContext:
    """The context of all workers: the machine, the cache of prepared models, and descriptors that children inherit."""

    hardware: Hardware
    cache: Path
    observer: Observer
    inherited: tuple[int, ...] = ()
    allowance: Allowance = field(default_factory=allowance.now)
    """The CPUs that were ours when it began."""
    failures: dict[str, PreparationFailed] = field(default_factory=dict)
    """Preparations that failed for reasons that may pass, by the artifact's key: not tried again in a run."""

    def prepare(self, rules: MeasureRules, deadline: float | None) -> artifacts.Run:
        """A function that makes an artifact in a clean child, on all cores."""

        def run(job: PrepareJob, what: str) -> None:
            if (failed := self.failures.get(job.key)) is not None:
                again = f"{failed} (not tried again in this run)"
                raise PreparationFailed(again, failed.log, remember=False)
            self.observer.preparing(what)
            interpreter = job.config.interpreter if job.config else OWN
            asked = environment.patch(job.config, self.hardware) if job.config and job.reference else None
            named = job.workload.env
            launched = launch_plan.preparing(self.hardware, os.environ, self.cache, interpreter, asked, named)
            setup = Setup(job.workload.model, "prepare_s", rules, self.observer.notice)
            with tempfile.TemporaryDirectory(prefix="autotune-prepare-") as name:
                folder = Path(name)
                path = folder / "job.json"
                path.write_bytes(msgspec.json.encode(job))
                try:
                    with worker_pool.start(
                        launched, path, folder, self.memory_bytes(rules), deadline, self.inherited
                    ) as workers:
                        workers.gather(setup.total_s, f"preparing {what}", setup)
                except WorkerFailed as error:
                    if error.status is Status.INTERRUPTED:
                        raise
                    self.check_cpus()
                    log = (folder / "stderr.log").read_text(errors="replace")
                    message = lacking.explained(str(error), log, os.environ, named)
                    lasting = _lasting(job, error) and message == str(error)
                    failed = PreparationFailed(message, log, remember=lasting)
                    if not lasting:
                        self.failures[job.key] = failed
                    raise failed from error

        return run

    def check_cpus(self) -> None:
        """MachineError if the CPUs that we may use, or the quota of them, have changed: no measurement goes on then."""
        if changed := allowance.difference(self.allowance, allowance.now()):
            raise MachineError(
                f"{changed} (a cpuset, quota or affinity was set from outside); what was measured just now is dropped, "
                "and says nothing of its configuration: run the same command again once they are as before, or with "
                "another --name"
            )

    def memory_bytes(self, rules: MeasureRules) -> int:
        """The memory that all workers of a configuration may use together."""
        return int(self.hardware.usable_memory_bytes * rules.memory_fraction)


@dataclass
class Loaded:
    """The workers of one configuration, from their start to their last word; `run_s` is how long a program may run."""

    workers: Workers
    folder: Path
    workload: WorkloadSpec
    setup: Setup
    rules: MeasureRules
    artifact: ArtifactRef | None
    cpus: tuple[int, ...]
    begin: float
    run_s: float | None
    ready: list[Ready] = field(default_factory=list)
    setup_s: float = 0.0
    flags: tuple[str, ...] = ()
    accuracy: Accuracy | None = None

    @property
    def call_s(self) -> float | None:
        """The length of a call (s), where the first one tells: a program has nothing to compile at its next run."""
        return max(answer.first_call_s for answer in self.ready) if self.run_s is not None else None

    def wait(self) -> None:
        """Until every worker is ready; WorkerFailed if one fails, dies or hangs."""
        try:
            answers = self.workers.gather(self.setup.total_s, "loading the model", self.setup)
        except WorkerFailed as error:
            log = (self.folder / "stderr.log").read_text(errors="replace")
            message = lacking.explained(str(error), log, os.environ, self.workload.env)
            raise WorkerFailed(error.status, message, passing=error.passing) from error
        self.ready = cast(list[Ready], answers)
        self.setup_s = time.monotonic() - self.begin

    def finish(self) -> int:
        """End the workers, keep their latencies in one file; the peak memory of all together (bytes)."""
        self.workers.send(Finish())
        finished = cast(list[Finished], self.workers.gather(self.rules.block_timeout_s, "finishing"))
        self.flags = tuple(sorted({flag for answer in finished for flag in answer.flags}))
        _merge_latencies(self.folder, len(finished))
        return sum(answer.peak_rss_bytes for answer in finished)


@contextlib.contextmanager
def loading(
    context: WorkerContext, spec: TrialSpec, rules: MeasureRules, folder: Path, deadline: float | None = None
) -> Iterator[Loaded]:
    """Workers that load a configuration, prepared first where it has to be; killed on leaving.

    PreparationFailed or WorkerFailed where it cannot be had.
    """
    prepare = context.prepare(rules, deadline)
    reference = artifacts.reference(spec.workload, context.hardware, rules, prepare, context.cache)
    if spec.config.interpreter != OWN:
        try:
            interpreters.link(Path(autotune.__file__).parent, context.cache / launch_plan.ALONE)
        except OSError as error:
            raise CacheError(f"the cache {context.cache} cannot be used: {error.strerror}") from error
    artifact = artifacts.ensure(spec.workload, spec.config, context.hardware, rules, prepare, context.cache)
    accuracy = artifacts.accuracy(spec.workload, spec.config, context.hardware, rules, prepare, context.cache)
    launched = launch_plan.measuring(spec.config, context.hardware, os.environ, context.cache, spec.workload.env)
    job = MeasureJob(
        spec=spec,
        hardware=context.hardware.seen_by(spec.config.interpreter),
        rules=rules,
        placements=tuple(worker.placement for worker in launched.workers),
        folder=str(folder),
        reference=reference.folder if reference else None,
        artifact=artifact.folder if artifact else None,
    )
    path = folder / "job.json"
    path.write_bytes(msgspec.json.encode(job))
    begin = time.monotonic()
    limit_bytes, watch = context.memory_bytes(rules), context.check_cpus
    with worker_pool.start(launched, path, folder, limit_bytes, deadline, context.inherited, watch) as workers:
        cpus = sorted({cpu for placement in job.placements for cpu in placement.cpus})
        run_s = cast(float, spec.workload.options["timeout_s"]) if reference is None else None
        # A program may sleep as long as it may run.
        setup = Setup(spec.workload.model, "setup_s", rules, context.observer.notice, run_s or 0.0)
        ref = artifact.ref if artifact else None
        yield Loaded(workers, folder, spec.workload, setup, rules, ref, tuple(cpus), begin, run_s, accuracy=accuracy)


def _lasting(job: PrepareJob, error: WorkerFailed) -> bool:
    """True if an export or a conversion would fail again: what the user's own code does may go otherwise next time."""
    converts = job.backend is not None and job.reference is None
    return converts and error.status in (Status.PREPARE_FAILED, Status.CRASHED) and not error.passing


def _merge_latencies(folder: Path, workers: int) -> None:
    """All workers' calls in one file: rows (rank, block, latency_ns, count), by the blocks' numbers."""
    parts = []
    for rank in range(workers):
        path = folder / f"latencies-{rank}.npy"
        rows = np.load(path, allow_pickle=False)
        parts.append(np.column_stack([np.full(len(rows), rank), rows]))
        path.unlink()
    write_array(folder / "latencies.npy", np.concatenate(parts))
