from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.errors import ModelError
from autotune.core.workload_spec import DataSpec, InputSpec
from autotune.models import data
from tests.models.rows import FUNCTION, folder

__all__ = ["folder"]


def load(source: Path | str, seed: int = 0, metric: str | None = "accuracy", **counts: int) -> data.Split:
    return data.load(DataSpec(source=str(source), metric=metric, **counts), seed)


def refused(source: Path | str, metric: str | None = "accuracy") -> str:
    with pytest.raises(ModelError) as caught:
        load(source, metric=metric)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def labels(found: data.Split) -> np.ndarray:
    assert found.labels is not None
    return found.labels


# ---------------------------------------------------------------------------------------------------------- splitting


def test_rows_are_shuffled_and_split_without_overlap(folder: Path) -> None:
    found = load(folder / "digits.npz", samples=60, calibration=15)
    images, mask = found.inputs
    np.testing.assert_array_equal(images[:, 0], labels(found))  # each row keeps its label
    np.testing.assert_array_equal(mask, labels(found) % 2)
    apart = found.calibration[0][:, 0]
    assert (len(labels(found)), len(apart)) == (60, 15)
    assert len({*labels(found), *apart}) == 75
    assert list(labels(found)) != sorted(labels(found))


def test_at_most_a_quarter_is_kept_apart_and_all_else_may_be_judged(folder: Path) -> None:
    found = load(folder / "digits.npz", samples=1000, calibration=64)
    assert (len(found.calibration[0]), len(labels(found))) == (25, 75)


@given(st.integers(0, 300), st.integers(1, 100), st.integers(1, 40), st.booleans())
def test_no_row_is_both_calibrated_on_and_judged(extra: int, samples: int, calibration: int, labelled: bool) -> None:
    rows = data.ENOUGH + extra
    array = np.arange(rows)
    found = data.split((array,), (0,), array if labelled else None, samples, calibration, seed=1)
    apart, judged = set(found.calibration[0].tolist()), set(found.inputs[0].tolist())
    assert not apart & judged
    assert len(apart) == min(calibration, max(rows // 4, min(rows // 2, data.ENOUGH)))
    assert len(judged) == min(samples, rows - len(apart))


def test_rows_of_equal_content_count_once(folder: Path) -> None:
    """Without labels: a tiled example must not be judged on what int8 was calibrated on."""
    array = np.tile(np.arange(10.0)[:, None], (5, 1))
    found = data.split((array,), (0,), None, 1000, 64, seed=0)
    assert found.different == 10
    assert sorted([*found.calibration[0][:, 0], *found.inputs[0][:, 0]]) == list(range(10))


@pytest.mark.parametrize("rows", [1, 7])
def test_few_rows_stay_as_they_are(rows: int) -> None:
    array = np.arange(rows)[::-1].repeat(2)
    found = data.split((array, array), (0, 0), None, 1000, 64, seed=0)
    assert found.different == rows
    for part in (*found.calibration, *found.inputs):
        np.testing.assert_array_equal(part, np.arange(rows)[::-1])


def test_copies_of_a_labelled_row_are_in_one_part() -> None:
    array = np.arange(10).repeat(8)
    found = data.split((array,), (0,), np.arange(80), 1000, 64, seed=0)
    assert not {*found.calibration[0]} & {*found.inputs[0]}
    assert (len(found.calibration[0]), len(labels(found)), found.different) == (5, 40, 10)


def test_few_labelled_contents_are_in_both_parts() -> None:
    array = np.zeros(100)
    found = data.split((array,), (0,), np.arange(100), 50, 10, seed=0)
    assert (len(labels(found)), len(found.calibration[0]), found.different) == (50, 10, 1)


def test_the_seed_decides(folder: Path) -> None:
    one, same, other = (labels(load(folder / "digits.npz", seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert list(one) != list(other)


@pytest.mark.parametrize("metric", ["accuracy", None])
def test_more_samples_begin_with_the_same_rows(folder: Path, metric: str | None) -> None:
    few, many = (load(folder / "digits.npz", metric=metric, samples=samples) for samples in (10, 50))
    np.testing.assert_array_equal(few.inputs[0], many.inputs[0][:10])
    np.testing.assert_array_equal(few.calibration[0], many.calibration[0])


def test_without_labels_there_are_none(folder: Path) -> None:
    found = load(folder / "digits.npz", metric=None)
    assert found.labels is None and len(found.inputs) == 2


# ----------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.ones(9), "labels": np.ones(8)}, "has 8 labels and inputs of 9 rows; give each a label"),
        ({"images": np.ones(3), "labels": np.ones(3)}, "has 3 rows; give at least 4"),
        (
            {"images": np.ones(8), "labels": np.array(["cat", "dog"] * 4)},
            "are text, such as 'cat'; accuracy needs the number of each sample's class; write numbers, or a metric of "
            "your own: file.py:function",
        ),
    ],
)
def test_labels_that_cannot_be_used_are_said(folder: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(folder / "wrong.npz", **arrays)
    assert message in refused(folder / "wrong.npz")


def test_text_labels_are_for_a_metric_of_the_users_own(folder: Path) -> None:
    source = f"{folder}/rows_of_a_test.py:text_labels"
    assert "are text, such as 'cat'" in refused(source)
    assert set(labels(load(source, metric=f"{folder}/rows_of_a_test.py:raises"))) == {"cat", "dog"}


def test_inputs_of_unequal_rows_are_said(folder: Path) -> None:
    source = f"{folder}/rows_of_a_test.py:unequal"
    assert refused(source, None) == f"{source} has inputs of 20, 19 rows; row i of each is one sample"


DESCRIBED = (InputSpec(shape=(2, "batch"), name="state"), InputSpec(shape=("batch", 3), dtype="float16"))


def test_described_inputs_say_where_the_batch_is(folder: Path) -> None:
    rows = np.arange(40.0)
    np.savez(folder / "speech.npz", state=np.stack([rows, rows]), sound=np.stack([rows] * 3, 1))
    found = data.load(DataSpec(source=str(folder / "speech.npz"), metric=None), 0, described=DESCRIBED)
    assert [array.shape for array in (*found.calibration, *found.inputs)] == [(2, 10), (10, 3), (2, 30), (30, 3)]
    np.testing.assert_array_equal(found.inputs[0][0], found.inputs[1][:, 0])
    assert found.inputs[1].dtype == np.float16 and found.different == 40


def test_a_metric_that_is_none_is_said(folder: Path) -> None:
    assert data.resolve_metric("f1", folder) == "f1"
    assert data.resolve_metric("rows_of_a_test.py:images", folder) == f"{folder}/rows_of_a_test.py:images"
    with pytest.raises(ModelError) as caught:
        data.resolve_metric("acuracy", folder)
    assert str(caught.value) == (
        "unknown metric 'acuracy'; did you mean 'accuracy'?; "
        "a function is written file.py:function or package.module:function"
    )


# --------------------------------------------------------------------------------------------------------------- keys


def test_the_key_follows_the_content(folder: Path) -> None:
    file = DataSpec(source=str(folder / "digits.npz"))
    function = DataSpec(source=f"{folder}/rows_of_a_test.py:images", metric=f"{folder}/rows_of_a_test.py:raises")
    before = [data.cache_key(file, 0), data.cache_key(function, 0), data.metric_key(function)]
    np.savez(folder / "digits.npz", images=np.ones(9), labels=np.ones(9))
    (folder / "rows_of_a_test.py").write_text(f"{FUNCTION}# another line\n")
    after = [data.cache_key(file, 0), data.cache_key(function, 0), data.metric_key(function)]
    assert not any(one == other for one, other in zip(before, after, strict=True))
    assert data.metric_key(file) == ("accuracy",)
