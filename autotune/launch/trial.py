"""`execute`: one trial wholly on this machine, from its spec to its result, with no study and no storage."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from autotune import artifacts
from autotune.artifacts import Artifact, PreparationFailed
from autotune.errors import ModelError
from autotune.files import write_atomically
from autotune.interfaces import Observer
from autotune.launch import measure, plan, process
from autotune.launch.process import WorkerFailed
from autotune.protocol import Finish, Finished, MeasureJob, PrepareJob, Ready
from autotune.results import Status, TrialResult
from autotune.rules import MeasureRules
from autotune.types import Hardware, LaunchPlan, TrialSpec, WorkloadSpec


class Machine:
    """This machine as a place where trials run; `execute` is the seam on which other machines come later."""

    def __init__(self, hardware: Hardware, root: Path, cache: Path, observer: Observer) -> None:
        self.hardware = hardware
        self.root = root.absolute()
        self.cache = cache.absolute()
        self.observer = observer

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> None:
        """Build the workload once and keep its reference outputs; ModelError with the child's last line and its log."""
        try:
            artifacts.reference(workload, self.hardware, rules, self._prepare(rules, None), self.cache)
        except PreparationFailed as error:
            with tempfile.NamedTemporaryFile("w", prefix="autotune-", suffix=".log", delete=False) as file:
                file.write(error.log)
            raise ModelError(
                f"the workload {workload.model} cannot be built: {error} (the whole story: {file.name})"
            ) from error

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        """Measure one configuration; a failure is the result's status. `result.json` is on disk before this returns.

        `incumbent` is the best rate so far (items/s), against which a clearly slower trial is given up.
        """
        folder = self.root / spec.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "spec.json", msgspec.json.format(msgspec.json.encode(spec)))
        begin = time.monotonic()
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        try:
            result = self._run(spec, rules, incumbent, folder)
        except (WorkerFailed, PreparationFailed) as error:
            status = error.status if isinstance(error, WorkerFailed) else Status.PREPARE_FAILED
            result = TrialResult(spec=spec, status=status, error=str(error))
            if isinstance(error, PreparationFailed):
                (folder / "stderr.log").write_text(error.log)
        result = msgspec.structs.replace(
            result, wall_s=time.monotonic() - begin, started=started, fingerprint=self.hardware.fingerprint
        )
        write_atomically(folder / "result.json", msgspec.json.format(msgspec.json.encode(result)))
        return result

    def _run(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None, folder: Path) -> TrialResult:
        deadline = None if rules.trial_timeout_s is None else time.monotonic() + rules.trial_timeout_s
        prepare = self._prepare(rules, deadline)
        reference = artifacts.reference(spec.workload, self.hardware, rules, prepare, self.cache)
        artifact = artifacts.ensure(spec.workload, spec.config, self.hardware, rules, prepare, self.cache)
        launched = plan.measuring(spec.config, self.hardware, os.environ, self.cache)
        job = self._job(spec, rules, folder, reference, artifact, launched)
        limit = int(self.hardware.usable_memory_bytes * rules.memory_fraction)
        begin = time.monotonic()
        with process.start(launched, job, folder, limit, deadline) as workers:
            ready = cast(list[Ready], workers.gather(rules.setup_timeout_s, "loading the model", rules.idle_timeout_s))
            setup_s = time.monotonic() - begin
            size = spec.config.workload.batch_size
            found = measure.measure(
                workers, size, rules, incumbent, lambda blocks: self.observer.measured(spec, blocks)
            )
            workers.send(Finish())
            finished = cast(list[Finished], workers.gather(rules.block_timeout_s, "finishing"))
        _merge_latencies(folder, len(ready))
        return TrialResult(
            spec=spec,
            status=Status.REJECTED if found.rejected else Status.OK,
            blocks=found.blocks,
            warmup=found.warmup,
            flags=found.flags,
            load_s=max(answer.load_s for answer in ready),
            first_call_s=max(answer.first_call_s for answer in ready),
            setup_s=setup_s,
            peak_rss_bytes=sum(answer.peak_rss_bytes for answer in finished),
            fidelity=ready[0].fidelity,
            artifact=artifact.ref if artifact else None,
            versions=ready[0].versions,
        )

    def _job(
        self,
        spec: TrialSpec,
        rules: MeasureRules,
        folder: Path,
        reference: Artifact,
        artifact: Artifact | None,
        launched: LaunchPlan,
    ) -> Path:
        job = MeasureJob(
            spec=spec,
            hardware=self.hardware,
            rules=rules,
            placements=tuple(worker.placement for worker in launched.workers),
            folder=str(folder),
            reference=reference.folder,
            artifact=artifact.folder if artifact else None,
        )
        path = folder / "job.json"
        path.write_bytes(msgspec.json.encode(job))
        return path

    def _prepare(self, rules: MeasureRules, deadline: float | None) -> artifacts.Run:
        def run(job: PrepareJob, what: str) -> None:
            self.observer.preparing(what)
            limit = int(self.hardware.usable_memory_bytes * rules.memory_fraction)
            launched = plan.preparing(self.hardware, os.environ, self.cache)
            with tempfile.TemporaryDirectory(prefix="autotune-prepare-") as name:
                folder = Path(name)
                path = folder / "job.json"
                path.write_bytes(msgspec.json.encode(job))
                try:
                    with process.start(launched, path, folder, limit, deadline) as workers:
                        workers.gather(rules.prepare_timeout_s, f"preparing {what}", rules.idle_timeout_s)
                except WorkerFailed as error:
                    if error.status is Status.INTERRUPTED:
                        raise
                    log = (folder / "stderr.log").read_text(errors="replace")
                    lasting = error.status in (Status.PREPARE_FAILED, Status.CRASHED)
                    raise PreparationFailed(str(error), log, remember=lasting) from error

        return run


def _merge_latencies(folder: Path, workers: int) -> None:
    """All workers' calls in one file: rows (rank, block, latency_ns, count), blocks counted from the first warm-up."""
    parts = []
    for rank in range(workers):
        path = folder / f"latencies-{rank}.npy"
        rows = np.load(path, allow_pickle=False)
        parts.append(np.column_stack([np.full(len(rows), rank), rows]))
        path.unlink()
    np.save(folder / "latencies.npy", np.concatenate(parts), allow_pickle=False)
