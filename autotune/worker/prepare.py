"""Making an artifact in a clean child: reference outputs, a backend's model, or the accuracy of a configuration."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune.core import plugins
from autotune.core.config import Config, WorkloadSettings
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.machine import Hardware
from autotune.core.protocol import PrepareJob
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct
from autotune.core.workload_spec import WorkloadSpec
from autotune.models.data import METRICS
from autotune.models.workload import BuiltWorkload, load_arrays, options, provider, save_arrays
from autotune.worker import accuracy, outputs
from autotune.worker.outputs import Arrays, Reference

REFERENCE = "reference.npz"
NOTES = "reference.json"
EXAMPLES = "examples.npz"


class Notes(Struct):
    """What is written beside the reference outputs: all else that is known of them."""

    names: tuple[str, ...]
    noise: float | None
    classes: bool = False


def run(job: PrepareJob) -> None:
    """Fill the job's folder."""
    workload = BuiltWorkload(job.workload)
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
        accuracy.save(session, workload, job.config.workload.batch_size, Path(job.reference), folder)


def save_reference(workload: BuiltWorkload, hw: Hardware, rules: MeasureRules, folder: Path) -> None:
    """The plain float32 model's outputs for the first samples, and those samples where the space file has no inputs.

    A model that takes only batches of one size is called as often as needed, and all is computed twice: a model may
    differ from itself. Where samples have labels, the model's answers to all that are judged are kept, too. ModelError
    where an output is NaN; what is infinite may be a mask.
    """
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
    batches = split(workload.arrays, size, rules.verify_samples)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        if backend.cache_key(options, config, hw) is not None:
            backend.prepare(workload, options, config, hw, Path(made), None)
        session = backend.load(workload, options, config, Path(made))
        first, again = called(session, batches), called(session, batches)
        check_numbers(first)
        check_numbers(again)
        if workload.spec.data is not None:
            accuracy.save_answers(session, workload, size, folder)
    noise = outputs.compare(again.outputs, first, trained=True).centred_error
    write_reference(first._replace(noise=noise, classes=classifies(workload.spec)), folder)
    if not workload.spec.inputs:
        save_arrays(folder / EXAMPLES, joined(batches))


def classifies(spec: WorkloadSpec) -> bool:
    """Whether rows of numbers are scores of classes: the labels are classes, or the model's source says so."""
    source: Any = provider(spec)
    labelled = spec.data is not None and spec.data.metric in METRICS
    return labelled or bool(hasattr(source, "classifies") and source.classifies(spec.name, options(spec)))


def check_numbers(found: Reference) -> None:
    """ModelError, with output and place, where an output of the plain model is NaN."""
    for name, array in zip(found.names, found.outputs, strict=True):
        if reason := outputs.not_a_number(array):
            raise ModelError(
                f"{outputs.said(name)} of the float32 model {reason}; nothing can be compared with it: "
                "mend the model or its inputs"
            )


def write_reference(reference: Reference, folder: Path) -> None:
    """The outputs, and beside them what else is known of them."""
    save_arrays(folder / REFERENCE, reference.outputs)
    notes = Notes(names=reference.names, noise=reference.noise, classes=reference.classes)
    (folder / NOTES).write_bytes(msgspec.json.encode(notes))


def load_reference(folder: Path) -> Reference:
    """What `write_reference` wrote."""
    notes = msgspec.json.decode((folder / NOTES).read_bytes(), type=Notes)
    return Reference(load_arrays(folder / REFERENCE), notes.names, notes.noise, notes.classes)


def called(session: Session, batches: Sequence[Arrays]) -> Reference:
    """The outputs of all batches with their names; ModelError if there are none, or one has not a row for each sample.

    A runtime that does not return what the model does names its outputs by their numbers.
    """
    parts: list[Arrays] = []
    found: list[str] = []
    for batch in batches:
        result = session(session.convert(batch))
        found = places(result)
        parts.append(session.outputs(result))
    if not parts[0]:
        raise ModelError("the model returns no tensor; there is nothing to compare")
    names = tuple(found if len(found) == len(parts[0]) else map(str, range(len(parts[0]))))
    size = len(batches[0][0])
    for name, array in zip(names, parts[0], strict=True):
        if array.shape[:1] != (size,):
            raise ModelError(
                f"{outputs.said(name)} has shape {array.shape} for a batch of {size}; "
                "the first dimension of every output must be the batch"
            )
    return Reference(joined(parts), names)


def places(result: Any, prefix: str = "") -> list[str]:
    """Where each tensor is in what a model returns, depth first: `logits`, `hidden.0`, `0`; a lone one is `output`.

    None has no place. ModelError, which names the place, for what is no tensor.
    """
    if result is None:
        return []
    if hasattr(result, "shape"):
        return [prefix or outputs.LONE]
    if isinstance(result, (str, bytes)) or not hasattr(result, "__iter__"):
        raise ModelError(f"{outputs.said(prefix or outputs.LONE)} is a {type(result).__name__}, not a tensor")
    if hasattr(result, "items"):
        parts = result.items()
    elif hasattr(result, "_fields"):
        parts = zip(result._fields, result, strict=True)
    else:
        parts = enumerate(result)
    return [name for place, part in parts for name in places(part, f"{prefix}.{place}" if prefix else str(place))]


def split(arrays: Any, size: int, samples: int) -> list[tuple[np.ndarray[Any, Any], ...]]:
    """Batches of `size` rows that together hold at least `samples` rows; the first is the batch to measure."""
    count = -(-samples // size)
    whole = arrays(count * size)
    return [tuple(np.ascontiguousarray(a[i * size : (i + 1) * size]) for a in whole) for i in range(count)]


def joined(parts: Sequence[tuple[np.ndarray[Any, Any], ...]]) -> tuple[np.ndarray[Any, Any], ...]:
    """The rows of several batches as those of one."""
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
