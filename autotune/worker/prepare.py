"""Making an artifact in a clean child: reference outputs, a backend's model, or the accuracy of a configuration."""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from autotune.core import plugins
from autotune.core.config import Config, WorkloadSettings
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.machine import Hardware
from autotune.core.protocol import FINDINGS, ROWS, PrepareJob, Rows
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import WorkloadSpec
from autotune.models.data import METRICS
from autotune.models.workload import BuiltWorkload, options, provider, repeated, save_arrays
from autotune.worker import accuracy, output_check
from autotune.worker.answers.masks import not_a_number
from autotune.worker.batches import Arrays, cut, joined, split
from autotune.worker.channel import Channel
from autotune.worker.model_check import check as model_check
from autotune.worker.model_check.subject import Subject
from autotune.worker.output_names import label, output_names
from autotune.worker.reference import EXAMPLES, Reference, write_reference


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
        accuracy.save_accuracy(session, workload, job.config.workload.batch_size, Path(job.reference), folder)


def save_reference(workload: BuiltWorkload, hw: Hardware, rules: MeasureRules, folder: Path) -> None:
    """The plain float32 model's outputs for the first samples, and those samples where the space file has no inputs.

    The model is checked first. One that takes only batches of one size is called as often as needed. The outputs of the
    first samples are computed twice: a model may differ from itself. More samples follow where that is quick. Where
    samples have labels, the model's answers to all that are judged are kept, too. ModelError where the check finds an
    error or an output is NaN; what is infinite may be a mask. How many different real rows there are is written beside.
    """
    environ = dict(os.environ)
    source: Any = provider(workload.spec)
    name = source.plain
    backend = plugins.load("backends", name)
    options = plugins.backend_options(name, {})
    fixed = source.fixed_batch(workload.spec.name) if hasattr(source, "fixed_batch") else None
    size = fixed or rules.verify_samples
    config = Config(
        workload=WorkloadSettings(batch_size=size),
        backend=name,
        options=msgspec.structs.asdict(options),
        knobs={"layout": f"1x{len(hw.cores)}"},
    )
    workload.check_steady()
    batches = split(workload.arrays, size, rules.verify_samples)
    real = workload.real(len(batches) * size)
    arrays = workload.arrays if real is None else functools.partial(repeated, workload.as_taken(real.inputs))
    with tempfile.TemporaryDirectory(dir=folder) as made:
        if backend.cache_key(options, config, hw) is not None:
            backend.prepare(workload, options, config, hw, Path(made), None)
        session = backend.load(workload, options, config, Path(made))
        subject = Subject(session, batches[0], fixed, workload.spec.batch_size)
        checkup = model_check.checked(subject, workload, environ)
        if checkup.together and workload.spec.batch_size is not None:
            batches = split(arrays, workload.spec.batch_size, rules.verify_samples)
        if checkup.rows is not None:
            batches = cut(tuple(array[: checkup.rows] for array in joined(batches)), size)
        first = run_batches(session, batches)
        begin = time.monotonic()
        again = run_batches(session, batches)
        more = further(arrays, batches, first.outputs, time.monotonic() - begin, rules)
        whole = joined([first.outputs, *(run_batches(session, [batch]).outputs for batch in more)])
        refuse_nan(first._replace(outputs=whole))
        refuse_nan(again)
        if workload.spec.labelled is not None:
            accuracy.save_reference_predictions(session, workload, len(batches[0][0]), folder)
    (folder / FINDINGS).write_bytes(msgspec.json.encode(checkup.findings))
    found = output_check.compare(again.outputs, first, trained=True)
    known = [error for error in (found.centred_error, found.worst_channel_error) if error is not None]
    noise = max(known, default=None)
    write_reference(Reference(whole, first.names, noise, classifies(workload.spec)), folder)
    if not workload.spec.inputs:
        save_arrays(folder / EXAMPLES, joined([*batches, *more]))
    (folder / ROWS).write_bytes(msgspec.json.encode(Rows(different=0 if real is None else real.different)))


def further(
    arrays: Callable[[int], Arrays], batches: Sequence[Arrays], outputs: Arrays, seconds: float, rules: MeasureRules
) -> list[Arrays]:
    """Batches after these to compare, too, as long as they hold new samples and the rules allow their number and size.

    `outputs` are those of the batches, made in so many seconds.
    """
    count, size = len(batches), len(batches[0][0])
    batch_bytes = sum(array.nbytes for array in (*joined(batches), *outputs)) / count
    most = min(
        rules.verify_most // size,
        int(rules.verify_bytes / max(batch_bytes, 1)),
        int(rules.verify_reference_s / max(seconds, 1e-9) * count),
    )
    if most <= count:
        return []
    seen = {row for batch in batches for row in _rows(batch)}
    found = []
    for batch in cut(arrays(most * size), size)[count:]:
        new = set(_rows(batch)) - seen
        if not new:
            break
        seen |= new
        found.append(batch)
    return found


def _rows(batch: Arrays) -> list[bytes]:
    """The content of each row of all inputs."""
    return [b"".join(array[row].tobytes() for array in batch) for row in range(len(batch[0]))]


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


def run_batches(session: Session, batches: Sequence[Arrays]) -> Reference:
    """The outputs of all batches with their names; ModelError if there are none, or one has not a row for each sample.

    Names are those of the model's own file, else places in what the model returns. A runtime that does not return what
    the model does names its outputs by their numbers.
    """
    parts: list[Arrays] = []
    names: list[str] = []
    for batch in batches:
        result = session(session.convert(batch))
        names = output_names(result)
        own = getattr(session, "output_names", ())
        names = list(own) if len(own) == len(names) else names
        parts.append(session.outputs(result))
    if not parts[0]:
        raise ModelError("the model returns no tensor; there is nothing to compare")
    if len(names) != len(parts[0]):
        names = list(map(str, range(len(parts[0]))))
    size = len(batches[0][0])
    for name, array in zip(names, parts[0], strict=True):
        if array.shape[:1] != (size,):
            raise ModelError(
                f"{label(name)} has shape {array.shape} for a batch of {size}; "
                "the first dimension of every output must be the batch"
            )
    return Reference(joined(parts), tuple(names))
