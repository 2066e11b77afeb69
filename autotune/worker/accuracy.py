"""The accuracy of a loaded model on the user's labelled samples, beside that of the float32 reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune.core import user_function
from autotune.core.answers import Accuracy
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.protocol import ACCURACY
from autotune.models import data
from autotune.models.workload import BuiltWorkload
from autotune.worker import scoring
from autotune.worker.output_layout import Layout

PREDICTIONS = "answers.npz"


def save_reference_predictions(
    session: Session, workload: BuiltWorkload, layout: Layout, size: int, folder: Path
) -> None:
    """Keep the reference's predictions for the samples, and the samples' digest."""
    predicted, digest = predictions(session, workload, layout, size), workload.samples.digest
    np.savez(folder / PREDICTIONS, allow_pickle=False, answers=predicted, digest=np.array(digest))


def save_accuracy(
    session: Session, workload: BuiltWorkload, layout: Layout, size: int, reference: Path, folder: Path
) -> None:
    """Write the accuracy of a loaded configuration, compared with the predictions in the reference's folder."""
    metric, labels = _judging(workload)
    with np.load(reference / PREDICTIONS, allow_pickle=False) as stored:
        expected, same = stored["answers"], str(stored["digest"]) == workload.samples.digest
    if not same:
        assert workload.spec.data is not None
        raise ModelError(f"{workload.spec.data.source} gives other rows this time; let it give the same each time")
    predicted = predictions(session, workload, layout, size)
    accuracy = Accuracy(
        metric=metric if metric in data.METRICS else Path(metric).name,
        samples=len(labels),
        reference=scoring.value(metric, expected, labels),
        value=scoring.value(metric, predicted, labels),
        drop=scoring.drop(metric, expected, predicted, labels),
    )
    (folder / ACCURACY).write_bytes(msgspec.json.encode(accuracy))


def predictions(session: Session, workload: BuiltWorkload, layout: Layout, size: int) -> np.ndarray[Any, Any]:
    """The prediction for each sample (`scoring`), in batches of `size`; the last one is filled up with the first rows.

    The metric gets outputs with their rows first. ModelError if it cannot judge them.
    """
    metric, labels = _judging(workload)
    function = None if metric in data.METRICS else user_function.load(metric)
    parts = []
    for begin in range(0, len(labels), size):
        batch = session.convert(workload.judged([row % len(labels) for row in range(begin, begin + size)]))
        outputs = layout.in_front(session.outputs(session(batch)), size)
        if wrong := [array.shape for array in outputs if array.shape[:1] != (size,)]:
            raise ModelError(f"an output has shape {wrong[0]} for a batch of {size}")
        row_labels = labels[begin : begin + size]
        row_outputs = tuple(array[: len(row_labels)] for array in outputs)
        if function is None:
            parts.append(scoring.predicted_classes(row_outputs, row_labels))
        else:
            parts.append(scoring.sample_scores(function, metric, row_outputs, row_labels))
    return np.concatenate(parts)


def _judging(workload: BuiltWorkload) -> tuple[str, np.ndarray[Any, Any]]:
    """The metric, and the labels of the samples that it judges."""
    labels = workload.samples.labels
    assert workload.spec.data is not None and workload.spec.data.metric is not None and labels is not None
    return workload.spec.data.metric, labels
