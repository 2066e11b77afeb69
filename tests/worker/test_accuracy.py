from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.core.answers import Accuracy
from autotune.core.errors import ModelError
from autotune.core.protocol import ACCURACY
from autotune.core.workload_spec import DataSpec, WorkloadSpec
from autotune.models.workload import BuiltWorkload
from autotune.worker import accuracy
from autotune.worker.output_layout import Layout

CLASSES = 7
LAYOUT = Layout(names=("scores",), axes=(0,))
METRIC = "def near(outputs, labels):\n    return 1.0 * (abs(outputs[0].argmax(1) - labels) <= 1)\n"


class Session:
    """Finds the class that an input names, but for those classes that it takes for the next."""

    def __init__(self, *mistaken: int, rows: int | None = None) -> None:
        self.mistaken = mistaken
        self.rows = rows
        self.batches: list[int] = []

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        assert all(array.flags.c_contiguous for array in arrays)
        return arrays[0]

    def __call__(self, batch: Any) -> Any:
        self.batches.append(len(batch))
        found = [(number + (number in self.mistaken)) % CLASSES for number in batch[:, 0].astype(int)]
        return np.eye(CLASSES)[found][: self.rows]

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        return (result,)

    def close(self) -> None: ...


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    labels = np.random.default_rng(0).integers(CLASSES, size=100)
    np.savez(tmp_path / "data.npz", images=labels[:, None].astype(np.float32), labels=labels)
    (tmp_path / "metric_of_a_test.py").write_text(METRIC)
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("metric_of_a_test", None)


def workload(folder: Path, metric: str = "accuracy", source: str = "data.npz") -> BuiltWorkload:
    spec = DataSpec(source=str(folder / source), metric=metric, samples=50, calibration=10)
    return BuiltWorkload(WorkloadSpec(model="torchvision:resnet18", inputs=(), data=spec))


def labels(folder: Path) -> np.ndarray[Any, Any]:
    found = workload(folder).samples.labels
    assert found is not None
    return found


def judged(folder: Path, reference: Session, session: Session, metric: str = "accuracy", size: int = 8) -> Accuracy:
    accuracy.save_reference_predictions(reference, workload(folder, metric), LAYOUT, 16, folder)
    accuracy.save_accuracy(session, workload(folder, metric), LAYOUT, size, folder, folder / "made")
    return msgspec.json.decode((folder / "made" / ACCURACY).read_bytes(), type=Accuracy)


def test_every_sample_is_judged_in_batches_of_the_size(folder: Path) -> None:
    session = Session(3)
    found = judged(folder, Session(), session)
    share = float((labels(folder) == 3).mean())
    assert session.batches == [8] * 7  # 50 samples, the last batch filled up
    assert (found.metric, found.samples, found.reference) == ("accuracy", 50, 1.0)
    assert found.value == pytest.approx(1 - share)
    assert found.drop.estimate == pytest.approx(share)
    assert found.drop.low is not None and found.drop.low < share < found.drop.high


def test_the_drop_is_from_the_references_own_answers(folder: Path) -> None:
    found = judged(folder, Session(1, 2), Session(1, 2))
    assert found.reference == found.value < 1
    assert found.drop.estimate == 0
    better = judged(folder, Session(1, 2), Session())
    assert better.drop.estimate == pytest.approx(found.reference - 1)


@pytest.mark.parametrize("size", [1, 7, 50, 64])
def test_the_batch_size_changes_no_answer(folder: Path, size: int) -> None:
    assert judged(folder, Session(), Session(3), size=size) == judged(folder, Session(), Session(3))


def test_a_metric_of_the_users_own(folder: Path) -> None:
    metric = f"{folder}/metric_of_a_test.py:near"
    found = judged(folder, Session(), Session(3), metric)
    assert found.metric == "metric_of_a_test.py:near"
    assert (found.reference, found.value) == (1.0, 1.0)  # each mistake is the next class
    far = judged(folder, Session(), Session(CLASSES - 1), metric)
    share = float((labels(folder) == CLASSES - 1).mean())
    assert far.drop.estimate == pytest.approx(share)


def test_f1_weighs_classes_alike(folder: Path) -> None:
    found = judged(folder, Session(), Session(3), "f1")
    own = labels(folder)
    threes, fours = (own == 3).sum(), (own == 4).sum()
    expected = (CLASSES - 2 + 2 * fours / (2 * fours + threes)) / CLASSES
    assert (found.reference, found.value) == (1.0, pytest.approx(expected))


def test_an_output_without_a_row_for_each_sample(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"an output has shape \(5, 7\) for a batch of 8"):
        accuracy.predictions(Session(rows=5), workload(folder), LAYOUT, 8)


def test_data_that_changes_between_two_children_is_refused(folder: Path) -> None:
    accuracy.save_reference_predictions(Session(), workload(folder), LAYOUT, 8, folder)
    np.savez(folder / "other.npz", images=np.ones((100, 1)), labels=np.ones(100, int))
    other = workload(folder, source="other.npz")
    with pytest.raises(ModelError, match=r"other.npz gives other rows this time; let it give the same each time"):
        accuracy.save_accuracy(Session(), other, LAYOUT, 8, folder, folder / "made")
