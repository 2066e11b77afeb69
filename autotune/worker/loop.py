"""The measured child: load one configuration as production would, prove it, then answer blocks."""

from __future__ import annotations

import functools
import gc
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune.core import plugins
from autotune.core.answers import Fidelity
from autotune.core.files import write_array
from autotune.core.interfaces import Call, Session
from autotune.core.protocol import ROWS, Finish, Finished, Measure, Measured, MeasureJob, Ready, Rows, Serve
from autotune.core.specs import TrialSpec
from autotune.models import calibration, workload
from autotune.worker import process_info, request_queue, settings_check
from autotune.worker.channel import Channel
from autotune.worker.fed_back import with_state
from autotune.worker.first_calls import check_outputs
from autotune.worker.latency_rows import latency_rows
from autotune.worker.reference import EXAMPLES, read_reference

Stream = Callable[[Any, int], tuple[list[Call], int]]

clock = time.monotonic_ns

KEPT_BYTES = 256
"""What is kept here of each call until its block has ended, at most; without it models of short calls seem to grow."""


def run(job: MeasureJob, rank: int, channel: Channel) -> None:
    """Load, verify, then serve commands until `Finish` or the coordinator is gone."""
    config = job.spec.config
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    known = Path(job.reference) if job.reference else None
    model = workload.BuiltWorkload(job.spec.workload, known and known / EXAMPLES, channel.building)
    begin = clock()
    gc.disable()  # nearly all that importing torch makes lives on: looking through it took 0.8 s of 3.8
    session = backend.load(model, options, config, Path(job.artifact) if job.artifact else None)
    gc.enable()
    loaded = clock()
    size = config.workload.batch_size
    called, batch, fidelity = session, None, None
    if known is None:
        session(batch)
        first_call_s = (clock() - loaded) / 1e9
    else:
        expected, trained = read_reference(known), workload.judged(job.spec.workload)
        called = with_state(session, model.described, expected.layout.names)
        batch, fidelity, first_call_s = check_outputs(
            called, model.arrays, model.batch_axes, size, expected, trained, job.rules.verify_s
        )
        fidelity = without_judgement(fidelity, job.spec, known)
    settings_check.check(session, config, job.hardware, job.placements[rank].cpus)
    channel.send(
        Ready(
            load_s=(loaded - begin) / 1e9,
            first_call_s=first_call_s,
            checked_s=(clock() - loaded) / 1e9 - first_call_s,
            fidelity=fidelity,
            versions=process_info.versions(backend.packages),
        )
    )
    serve(called, batch, size, channel, Path(job.folder) / f"latencies-{rank}.npy", rank, len(job.placements))
    session.close()


def without_judgement(found: Fidelity, spec: TrialSpec, reference: Path) -> Fidelity:
    """The closeness, not judged where int8 was calibrated on inputs that cannot tell right from wrong."""
    if not found.judged or not calibration.calibrated(spec.config):
        return found
    rows = msgspec.json.decode((reference / ROWS).read_bytes(), type=Rows)
    doubt = calibration.doubt(spec.workload, rows.different)
    if doubt is None:
        return found
    return msgspec.structs.replace(found, judged=False, reason=f"int8 was calibrated and compared on {doubt}")


def serve(
    session: Session, batch: Any, size: int, channel: Channel, latencies: Path, rank: int = 0, workers: int = 1
) -> None:
    """Answer `Measure` with a block's share, `Serve` with one of the requests, `Finish` after saving the latencies.

    Those saved are the blocks' alone.
    """
    rows: list[np.ndarray[Any, Any]] = []
    while (command := channel.receive()) is not None:
        if isinstance(command, Finish):
            write_array(latencies, np.concatenate(rows) if rows else np.zeros((0, 3), np.int64))
            flags = session.flags() if hasattr(session, "flags") else ()
            programs = session.programs_rss_bytes() if hasattr(session, "programs_rss_bytes") else 0
            channel.send(Finished(peak_rss_bytes=process_info.peak_rss_bytes() + programs, flags=flags))
            return
        if isinstance(command, Serve):
            channel.send(request_queue.answer(session, batch, size, command, rank, workers))
            continue
        assert isinstance(command, Measure)
        share, latencies_ns = measure(session, batch, size, command)
        channel.send(share)
        rows.append(latency_rows(command.block, latencies_ns))


def measure(session: Session, batch: Any, size: int, command: Measure) -> tuple[Measured, list[int]]:
    """Call from now until the stop; the share is what lies between start and stop, edge calls in part.

    Also the latencies (ns) of the calls whose middle lies in between. The growth of memory is that beyond KEPT_BYTES.
    """
    stream: Stream = getattr(session, "stream", None) or functools.partial(_one_by_one, session)
    held = process_info.rss_bytes()
    begin, cpu_begin = clock(), time.process_time_ns()
    calls, others_cpu_ns = stream(batch, command.stop_ns)
    end, cpu_ns = clock(), time.process_time_ns() - cpu_begin + others_cpu_ns
    growth = (process_info.rss_bytes() - held) / len(calls) - KEPT_BYTES if calls else None
    done, latencies_ns = count(calls, command.start_ns, command.stop_ns)
    inside = command.stop_ns - max(command.start_ns, begin)
    cpu_share = int(cpu_ns * inside / (end - begin)) if calls else 0
    share = Measured(items=done * size, calls=len(latencies_ns), cpu_ns=cpu_share, growth_bytes=growth)
    return share, latencies_ns


def _one_by_one(session: Session, batch: Any, stop_ns: int) -> tuple[list[Call], int]:
    ticks = [clock()]
    while ticks[-1] < stop_ns:
        session(batch)
        ticks.append(clock())
    return [Call(begin, end) for begin, end in itertools.pairwise(ticks)], 0


def count(calls: Sequence[Call], start_ns: int, stop_ns: int) -> tuple[float, list[int]]:
    """Batches done between two instants; of calls that straddle them, the part that lies inside.

    A latency belongs to the window that holds the middle of its call: one long call fills a window it began before.
    """
    done = 0.0
    latencies_ns: list[int] = []
    for begin, end, batches, own in calls:
        inside = min(end, stop_ns) - max(begin, start_ns)
        if inside > 0 and end > begin:
            done += batches * inside / (end - begin)
        if start_ns <= (begin + end) // 2 < stop_ns:
            latencies_ns += (end - begin,) if own is None else own
    return done, latencies_ns
