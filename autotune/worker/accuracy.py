"""The accuracy of a loaded model on the user's labelled samples, beside that of the float32 reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune.core import user_function
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.protocol import ACCURACY
from autotune.core.results import Accuracy
from autotune.models import data
from autotune.models.workload import BuiltWorkload
from autotune.worker import scoring

ANSWERS = "answers.npz"


def save_answers(session: Session, workload: BuiltWorkload, size: int, folder: Path) -> None:
    """Keep what the reference answers to the samples, and their labels."""
    found = answers(session, workload, size)
    np.savez(folder / ANSWERS, allow_pickle=False, answers=found, labels=workload.labelled.labels)


def save(session: Session, workload: BuiltWorkload, size: int, reference: Path, folder: Path) -> None:
    """Write the accuracy of a loaded configuration, compared with the answers in the reference's folder."""
    assert workload.spec.data is not None
    metric, labels = workload.spec.data.metric, workload.labelled.labels
    with np.load(reference / ANSWERS, allow_pickle=False) as stored:
        wanted, same = stored["answers"], np.array_equal(stored["labels"], labels)
    if not same:
        raise ModelError(f"{workload.spec.data.source} gives other labels this time; let it give the same each time")
    got = answers(session, workload, size)
    found = Accuracy(
        metric=metric if metric in data.METRICS else Path(metric).name,
        samples=len(labels),
        reference=scoring.value(metric, wanted, labels),
        value=scoring.value(metric, got, labels),
        drop=scoring.drop(metric, wanted, got, labels),
    )
    (folder / ACCURACY).write_bytes(msgspec.json.encode(found))


def answers(session: Session, workload: BuiltWorkload, size: int) -> np.ndarray[Any, Any]:
    """The answer to each sample (`scoring`), got in batches of `size`; the last one is filled up with the first rows.

    ModelError if an output has not a row for each sample, or the metric cannot judge it.
    """
    assert workload.spec.data is not None
    metric, (_, inputs, labels) = workload.spec.data.metric, workload.labelled
    function: Any = None if metric in data.METRICS else user_function.load(metric)
    found = []
    for begin in range(0, len(labels), size):
        rows = np.arange(begin, begin + size) % len(labels)
        batch = session.convert(tuple(np.ascontiguousarray(array[rows]) for array in inputs))
        outputs = session.outputs(session(batch))
        if wrong := [array.shape for array in outputs if array.shape[:1] != (size,)]:
            raise ModelError(f"an output has shape {wrong[0]} for a batch of {size}")
        own = labels[begin : begin + size]
        kept = tuple(array[: len(own)] for array in outputs)
        found.append(scoring.scored(function, metric, kept, own) if function else scoring.predicted(kept, own))
    return np.concatenate(found)
