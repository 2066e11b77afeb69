"""One trial: a configuration in fresh processes, from its spec to its result; a failure is the result's status."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import msgspec

from autotune.analysis import constraints, latency
from autotune.core.files import write_atomically
from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.launch import fidelity, load_test, measure, quota
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor, SpeedSensor
from autotune.launch.loading import WorkerContext, loading
from autotune.launch.worker_pool import WorkerFailed
from autotune.models.artifact_cache import PreparationFailed


def run(
    context: WorkerContext,
    sensor: SpeedSensor,
    spec: TrialSpec,
    rules: MeasureRules,
    incumbent: float | None,
    folder: Path,
) -> TrialResult:
    """Measure one configuration in `folder`; `spec.json` and `result.json` are on disk before this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "spec.json", msgspec.json.format(msgspec.json.encode(spec)))
    begin = time.monotonic()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        result = _measured(context, sensor, spec, rules, incumbent, folder)
    except (WorkerFailed, PreparationFailed) as error:
        status = error.status if isinstance(error, WorkerFailed) else Status.PREPARE_FAILED
        result = TrialResult(spec=spec, status=status, error=str(error))
        if isinstance(error, PreparationFailed):
            (folder / "stderr.log").write_text(error.log)
    result = msgspec.structs.replace(
        result, wall_s=time.monotonic() - begin, started=started, fingerprint=context.hardware.fingerprint
    )
    write_atomically(folder / "result.json", msgspec.json.format(msgspec.json.encode(result)))
    return result


def _measured(
    context: WorkerContext,
    sensor: SpeedSensor,
    spec: TrialSpec,
    rules: MeasureRules,
    incumbent: float | None,
    folder: Path,
) -> TrialResult:
    deadline = None if rules.trial_timeout_s is None else time.monotonic() + rules.trial_timeout_s
    with loading(context, spec, rules, folder, deadline) as loaded:
        loaded.wait()
        known = TrialResult(
            spec=spec,
            status=Status.OK,
            load_s=max(answer.load_s for answer in loaded.ready),
            first_call_s=max(answer.first_call_s for answer in loaded.ready),
            checked_s=max(answer.checked_s for answer in loaded.ready),
            setup_s=loaded.setup_s,
            fidelity=fidelity.worst([answer.fidelity for answer in loaded.ready]),
            accuracy=loaded.accuracy,
            artifact=loaded.artifact,
            versions=loaded.ready[0].versions,
        )
        if (limit := constraints.broken(rules.answers, known)) is not None:
            why = fidelity.broken(limit, known.fidelity)
            return msgspec.structs.replace(known, status=Status.WRONG_OUTPUT, error=why)
        monitor = InterferenceMonitor(loaded.cpus, sensor, rules)
        bench = BlockRunner(
            loaded.workers,
            spec.config.workload.batch_size,
            monitor,
            rules,
            run_s=loaded.call_s,
            over_quota=quota.exceeded(spec.config, context.hardware),
        )
        measurement = measure.measure(bench, rules, incumbent, lambda blocks: context.observer.measured(spec, blocks))
        served = None
        if spec.workload.serving is not None and not measurement.rejected:
            served = load_test.find_largest_rate(bench, measurement.blocks, spec.workload.serving, spec.workload.seed)
        peak_rss_bytes = loaded.finish()
    calls = latency.merge([latency.load_rows(folder, {block.number for block in measurement.blocks})])
    return msgspec.structs.replace(
        known,
        status=Status.REJECTED if measurement.rejected else Status.OK,
        blocks=measurement.blocks,
        warmup=measurement.warmup,
        repeated=tuple(bench.repeated),
        flags=(
            *measurement.flags,
            *quota.flags(spec.config, context.hardware),
            *loaded.flags,
            *([f"no_canary: {sensor.failure}"] if sensor.failure else []),
        ),
        peak_rss_bytes=peak_rss_bytes,
        latency=None if calls is None else calls.summary(),
        served=served,
    )
