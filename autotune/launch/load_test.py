"""Serving: requests that arrive by themselves at loaded workers, probe by probe, until the largest rate is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from autotune.analysis import rate_probe, rate_search, stopping
from autotune.analysis.rate_probe import ProbeSpec
from autotune.analysis.rate_search import SystemUnderTest
from autotune.core.protocol import Answered, Serve
from autotune.core.results import Block, Probe, Served, Sustained
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import ServingSpec
from autotune.launch import fidelity
from autotune.launch.blocks import LEAD_S, BlockRunner
from autotune.launch.interference import InterferenceMonitor, SpeedSensor
from autotune.launch.loading import WorkerContext, loading
from autotune.launch.worker_pool import WorkerFailed
from autotune.models.artifact_cache import PreparationFailed

WARM_CALLS = 2
"""The time of so many calls lies before the first arrival: each worker makes one then."""


def find_largest_rate(bench: BlockRunner, blocks: Sequence[Block], wanted: ServingSpec, seed: int) -> Served:
    """The largest rate of requests that these workers answer within the limit; 0 where none is kept.

    `blocks` are those of the closed loop. WorkerFailed as for a block.
    """
    capacity = max(block.rate for block in blocks)
    workers = len(bench.workers)
    system = SystemUnderTest(serving=wanted, capacity=capacity, batch_size=bench.batch_size, workers=workers)
    probes: list[Probe] = []
    while (spec := rate_search.next_probe(system, probes, bench.rules)) is not None:
        answers = send_requests(bench, spec, wanted, seed, len(probes))
        probes.append(_evaluated(spec, answers, wanted, claim=False))
    return Served(rate=rate_search.highest_rate(probes, bench.rules), probes=tuple(probes))


def sustain(
    context: WorkerContext,
    sensor: SpeedSensor,
    spec: TrialSpec,
    rules: MeasureRules,
    probe_spec: ProbeSpec,
    folder: Path,
) -> Sustained:
    """One probe of fresh, warm workers, judged by the rule for claims; the error if they failed to run.

    `spec.workload.serving` must be given; `spec.id` chooses the arrivals.
    """
    wanted = spec.workload.serving
    assert wanted is not None, "nothing says which latency is to be kept"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with loading(context, spec, rules, folder) as loaded:
            loaded.wait()
            monitor = InterferenceMonitor(loaded.cpus, sensor, rules)
            bench = BlockRunner(loaded.workers, spec.config.workload.batch_size, monitor, rules, call_s=loaded.call_s)
            _warm(bench)
            answers = send_requests(bench, probe_spec, wanted, spec.workload.seed, spec.id)
            peak_rss_bytes = loaded.finish()
    except PreparationFailed as failed:
        (folder / "stderr.log").write_text(failed.log)
        return Sustained(error=str(failed))
    except WorkerFailed as failed:
        return Sustained(error=str(failed))
    return Sustained(
        probe=_evaluated(probe_spec, answers, wanted, claim=True),
        setup_s=loaded.setup_s,
        peak_rss_bytes=peak_rss_bytes,
        fidelity=fidelity.worst([answer.fidelity for answer in loaded.ready]),
        accuracy=loaded.accuracy,
        versions=loaded.ready[0].versions,
    )


def send_requests(bench: BlockRunner, spec: ProbeSpec, wanted: ServingSpec, seed: int, number: int) -> list[Answered]:
    """Each worker's answers to the requests that `seed` and `number` draw; the workers are stopped then."""
    call_s = bench.call_s or 0.0
    start_ns = time.monotonic_ns() + int((LEAD_S + WARM_CALLS * call_s) * 1e9)
    command = Serve(
        probe=number,
        start_ns=start_ns,
        stop_ns=start_ns + int(spec.seconds * 1e9),
        rate=spec.rate,
        queue_delay_ns=int(wanted.queue_delay_ms * 1e6),
        seed=seed,
    )
    bench.workers.send(command)
    limit_s = 2 * spec.seconds + bench.rules.block_timeout_s + 10 * call_s
    answers = cast(list[Answered], bench.workers.gather(limit_s, "serving requests"))
    bench.workers.pause()
    return answers


def _evaluated(spec: ProbeSpec, answers: Sequence[Answered], wanted: ServingSpec, *, claim: bool) -> Probe:
    latencies_ns = [answer.latencies_ns for answer in answers]
    return rate_probe.evaluate(spec, latencies_ns, sum(answer.unanswered for answer in answers), wanted, claim=claim)


def _warm(bench: BlockRunner) -> None:
    """Blocks that do not count, until the rate rises no more."""
    blocks: list[Block] = []
    while stopping.still_warming_up([block.rate for block in blocks], bench.rules):
        if sum(block.elapsed_ns for block in blocks) >= bench.rules.warmup_s * 1e9:
            break
        blocks.append(bench.warm())
