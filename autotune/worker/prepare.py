"""Making an artifact in a clean child: reference outputs, a backend's model, or the accuracy of a configuration."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune.core import plugins, rows
from autotune.core.config import Config, WorkloadSettings
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.machine import Hardware
from autotune.core.outputs import label
from autotune.core.protocol import FINDINGS, ROWS, PrepareJob, Rows
from autotune.core.rows import Axes
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import WorkloadSpec
from autotune.models.data import METRICS
from autotune.models.workload import BuiltWorkload, fixed_batch, options, provider, save_rows
from autotune.worker import accuracy, output_check, output_layout
from autotune.worker.answers.masks import not_a_number
from autotune.worker.batches import Arrays, cut
from autotune.worker.channel import Channel
from autotune.worker.fed_back import answer, with_state
from autotune.worker.model_check import check as model_check
from autotune.worker.model_check.subject import Subject, told_apart
from autotune.worker.output_layout import Layout
from autotune.worker.reference import EXAMPLES, Reference, read_reference, write_reference


def run(job: PrepareJob, channel: Channel) -> None:
    """Fill the job's folder; the channel is told when the user's code runs."""
    workload = BuiltWorkload(job.workload, building=channel.building)
    folder = Path(job.folder)
    if job.backend is None or job.config is None:
        save_reference(workload, job.hardware, job.rules, folder)
        return
    backend = plugins.load("backends", job.backend)
    options = plugins.backend_options(job.backend, dict(job.config.options))
    source = Path(job.source) if job.source else None
    if job.reference is None:
        backend.prepare(workload, options, job.config, job.hardware, folder, source)
    else:
        session = backend.load(workload, options, job.config, source)
        layout, size = read_reference(Path(job.reference)).layout, job.config.workload.batch_size
        accuracy.save_accuracy(session, workload, layout, size, Path(job.reference), folder)


def save_reference(workload: BuiltWorkload, hw: Hardware, rules: MeasureRules, folder: Path) -> None:
    """The plain float32 model's outputs for the first samples, and those samples where the space file has no inputs.

    The model is checked first. One that takes only batches of one size is called as often as needed. The outputs of the
    first samples are computed twice: a model may differ from itself. More samples follow where that is quick. Where
    samples have labels, the model's answers to all that are judged are kept, too. ModelError where the check finds an
    error or an output is NaN; what is infinite may be a mask. How many different real rows there are is written beside.
    """
    workload.check_steady()
    environ = dict(os.environ)  # after what a function of samples sets: no measured process calls it
    name = provider(workload.spec).plain
    backend = plugins.load("backends", name)
    options = plugins.backend_options(name, {})
    fixed = fixed_batch(workload.spec)
    size = fixed or rules.verify_samples
    config = Config(
        workload=WorkloadSettings(batch_size=size),
        backend=name,
        options=msgspec.structs.asdict(options),
        knobs={"layout": f"1x{len(hw.cores)}"},
    )
    given = workload.arrays(-(-rules.verify_samples // size) * size)
    axes = workload.batch_axes
    batches = cut(given, axes, size)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        if backend.cache_key(options, config, hw) is not None:
            backend.prepare(workload, options, config, hw, Path(made), None)
        session = backend.load(workload, options, config, Path(made))
        subject = Subject(session, told_apart(batches[0], axes), axes, fixed, workload.spec.batch_size)
        checkup = model_check.checked(subject, workload, environ)
        if checkup.together and workload.spec.batch_size is not None:
            size = workload.spec.batch_size
            batches = cut(workload.arrays(-(-rules.verify_samples // size) * size), axes, size)
        if checkup.rows is not None:
            batches = cut(rows.taken(given, axes, range(min(checkup.rows, len(batches) * size))), axes, size)
        layout = output_layout.of(session, batches[0], axes, fixed=fixed is not None or checkup.together)
        session = with_state(session, workload.described, layout.names)
        first = run_batches(session, batches, layout, axes)
        begin = time.monotonic()
        again = run_batches(session, batches, layout, axes)
        more = further(workload.arrays, batches, axes, first.outputs, time.monotonic() - begin, rules)
        others = run_batches(session, more, layout, axes).outputs if more else first.outputs
        whole = tuple(map(np.concatenate, zip(first.outputs, others, strict=True))) if more else first.outputs
        refuse_nan(first._replace(outputs=whole))
        refuse_nan(again)
        if workload.spec.labelled is not None:
            accuracy.save_reference_predictions(session, workload, layout, size, folder)
    (folder / FINDINGS).write_bytes(msgspec.json.encode(checkup.findings))
    found = output_check.compare(again.outputs, first, trained=True)
    known = [error for error in (found.centred_error, found.worst_channel_error) if error is not None]
    noise = max(known, default=None)
    write_reference(Reference(whole, first.names, noise, classifies(workload.spec), layout), folder)
    kept = sum(rows.count(batch, axes) for batch in (*batches, *more))
    if not workload.spec.inputs or workload.spec.data is not None:
        save_rows(folder / EXAMPLES, rows.taken(workload.arrays(kept), axes, range(kept)), axes)
    real = workload.real(kept)
    (folder / ROWS).write_bytes(msgspec.json.encode(Rows(different=0 if real is None else real.different)))


def further(
    arrays: Callable[[int], Arrays],
    batches: Sequence[Arrays],
    axes: Axes,
    outputs: Arrays,
    seconds: float,
    rules: MeasureRules,
) -> list[Arrays]:
    """Batches after these to compare, too, as long as they hold new samples and the rules allow their number and size.

    `outputs` are those of the batches, made in so many seconds.
    """
    count, size = len(batches), rows.count(batches[0], axes)
    given = [array for batch in batches for array in batch]
    batch_bytes = sum(array.nbytes for array in (*given, *outputs)) / count
    most = min(
        rules.verify_most // size,
        int(rules.verify_bytes / max(batch_bytes, 1)),
        int(rules.verify_reference_s / max(seconds, 1e-9) * count),
    )
    if most <= count:
        return []
    seen = {row for batch in batches for row in _rows(batch, axes)}
    found = []
    for batch in cut(arrays(most * size), axes, size)[count:]:
        new = set(_rows(batch, axes)) - seen
        if not new:
            break
        seen |= new
        found.append(batch)
    return found


def _rows(batch: Arrays, axes: Axes) -> list[bytes]:
    """The content of each row of all inputs."""
    each = (rows.taken(batch, axes, [row]) for row in range(rows.count(batch, axes)))
    return [b"".join(array.tobytes() for array in arrays) for arrays in each]


def classifies(spec: WorkloadSpec) -> bool:
    """True if rows of numbers are scores of classes: the labels are classes, or the model's source says so."""
    source: Any = provider(spec)
    labelled = spec.labelled is not None and spec.labelled.metric in METRICS
    return labelled or bool(hasattr(source, "classifies") and source.classifies(spec.name, options(spec)))


def refuse_nan(outputs: Reference) -> None:
    """ModelError, with output and place, where an output of the plain model is NaN."""
    for name, array in zip(outputs.names, outputs.outputs, strict=True):
        if reason := not_a_number(array):
            raise ModelError(
                f"{label(name)} of the float32 model {reason}; nothing can be compared with it: "
                "mend the model or its inputs"
            )


def run_batches(session: Session, batches: Sequence[Arrays], layout: Layout, axes: Axes) -> Reference:
    """The outputs of all batches, with their names."""
    parts = [session.outputs(answer(session, session.convert(batch))) for batch in batches]
    outputs = layout.joined(parts, [rows.count(batch, axes) for batch in batches])
    return Reference(outputs, layout.compared, own_layout=layout)
