from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.workload_spec import DataSpec
from autotune.models import data

FUNCTION = """
import numpy as np

def images():
    return np.arange(20.0)[:, None], np.arange(20)

def pairs():
    return (np.arange(20), np.arange(20) * 2), list(range(20))

def three():
    return 1, 2, 3

def ragged():
    return ([[1, 2], [3]],), [0, 1]

def words():
    return np.array(["a", None], object), np.arange(2)

def raises():
    raise RuntimeError("no such folder\\nof images")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    np.savez(tmp_path / "digits.npz", images=np.arange(100.0)[:, None], labels=np.arange(100), mask=np.arange(100) % 2)
    (tmp_path / "rows_of_a_test.py").write_text(FUNCTION)
    yield tmp_path
    sys.modules.pop("rows_of_a_test", None)  # each test has a file of its own by this name


def load(source: Path | str, seed: int = 0, **counts: int) -> data.Split:
    return data.load(DataSpec(source=str(source), **counts), seed)


def refused(source: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        load(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stored(folder: Path, **arrays: Any) -> Path:
    path = folder / "wrong.npz"
    np.savez(path, **arrays)
    return path


# ---------------------------------------------------------------------------------------------------------- splitting


def test_rows_are_shuffled_and_split_without_overlap(folder: Path) -> None:
    found = load(folder / "digits.npz", samples=60, calibration=15)
    images, mask = found.inputs
    np.testing.assert_array_equal(images[:, 0], found.labels)  # each row keeps its label
    np.testing.assert_array_equal(mask, found.labels % 2)
    apart = found.calibration[0][:, 0]
    assert (len(found.labels), len(apart)) == (60, 15)
    assert len({*found.labels, *apart}) == 75
    assert list(found.labels) != sorted(found.labels)


def test_at_most_a_quarter_is_kept_apart_and_all_else_may_be_judged(folder: Path) -> None:
    found = load(folder / "digits.npz", samples=1000, calibration=64)
    assert (len(found.calibration[0]), len(found.labels)) == (25, 75)


def test_the_seed_decides(folder: Path) -> None:
    one, same, other = (load(folder / "digits.npz", seed).labels for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert list(one) != list(other)


def test_more_samples_begin_with_the_same_rows(folder: Path) -> None:
    few, many = (load(folder / "digits.npz", samples=samples) for samples in (10, 50))
    np.testing.assert_array_equal(few.labels, many.labels[:10])
    np.testing.assert_array_equal(few.calibration[0], many.calibration[0])


# ------------------------------------------------------------------------------------------------------------ sources


def test_a_function_returns_inputs_and_labels(folder: Path) -> None:
    found = load(f"{folder}/rows_of_a_test.py:images")
    np.testing.assert_array_equal(found.inputs[0][:, 0], found.labels)
    one, two = load(f"{folder}/rows_of_a_test.py:pairs").inputs
    np.testing.assert_array_equal(two, one * 2)


def test_a_tensor_is_taken_as_an_array() -> None:
    class Tensor:
        def detach(self) -> Tensor:
            return self

        def cpu(self) -> np.ndarray[Any, Any]:
            return np.ones((3, 2))

    assert data._array(Tensor(), "input 0").shape == (3, 2)


def test_sources_are_found_beside_the_space_file(folder: Path) -> None:
    assert data.resolve("digits.npz", folder) == str(folder / "digits.npz")
    assert data.resolve("rows_of_a_test.py:images", folder) == f"{folder}/rows_of_a_test.py:images"
    assert data.resolve("rows_of_a_test:images", folder) == f"{folder}/rows_of_a_test.py:images"
    assert data.resolve("package.of.mine:images", folder) == "package.of.mine:images"
    assert data.resolve_metric("f1", folder) == "f1"
    assert data.resolve_metric("rows_of_a_test.py:images", folder) == f"{folder}/rows_of_a_test.py:images"


@pytest.mark.parametrize(
    ("resolve", "name", "message"),
    [
        (data.resolve, "letters.npz", "there is no file 'letters.npz'; looked for in {folder}"),
        (data.resolve, "letters.py:load", "there is no file 'letters.py'; looked for in {folder}"),
        (
            data.resolve,
            "digits.csv",
            "'digits.csv' is neither a .npz file nor a function; write such as digits.npz; "
            "a function is written file.py:function or package.module:function",
        ),
        (
            data.resolve_metric,
            "acuracy",
            "unknown metric 'acuracy'; did you mean 'accuracy'?; "
            "a function is written file.py:function or package.module:function",
        ),
    ],
)
def test_what_is_not_there_is_said(folder: Path, resolve: Any, name: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(name, folder)
    assert str(caught.value) == message.format(folder=folder)


# ----------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.ones(9)}, "holds images; it needs the array 'labels' and at least one input; write it with"),
        ({"labels": np.ones(9)}, "holds labels; it needs the array 'labels' and at least one input; write it with"),
        ({"images": np.ones(9), "labels": np.ones(8)}, "has 8 labels and inputs of 9 rows; give each row a label"),
        ({"images": np.ones(3), "labels": np.ones(3)}, "has 3 rows; give at least 4"),
        ({"images": np.array(1.0), "labels": np.ones(8)}, "is float64 of shape (); give numbers, one row a sample"),
        ({"images": np.array([None] * 4), "labels": np.ones(4)}, "cannot be read as .npz: ValueError: Object arrays"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(folder: Path, arrays: dict[str, Any], message: str) -> None:
    assert message in refused(stored(folder, **arrays))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 half of one"])
def test_what_is_no_archive_is_said(folder: Path, content: bytes) -> None:
    path = folder / "broken.npz"
    path.write_bytes(content)
    assert refused(path).startswith(f"{path} cannot be read as .npz: ")


def test_a_single_array_is_no_archive(folder: Path) -> None:
    np.save(folder / "one.npy", np.ones(8))
    os.rename(folder / "one.npy", folder / "one.npz")
    assert "cannot be read as .npz: " in refused(folder / "one.npz")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("three", "returned a tuple; return a pair (inputs, labels)"),
        ("ragged", "cannot be an array: ValueError: "),
        ("words", "input 0 of {source} is object of shape (2,); give numbers, one row a sample"),
        ("raises", "{source} raised RuntimeError: of images"),
        ("missing", "has no function 'missing'"),
    ],
)
def test_a_function_that_cannot_be_used_is_said(folder: Path, function: str, message: str) -> None:
    source = f"{folder}/rows_of_a_test.py:{function}"
    assert message.format(source=source) in refused(source)


# --------------------------------------------------------------------------------------------------------------- keys


def test_the_key_follows_the_content(folder: Path) -> None:
    file = DataSpec(source=str(folder / "digits.npz"))
    function = DataSpec(source=f"{folder}/rows_of_a_test.py:images", metric=f"{folder}/rows_of_a_test.py:raises")
    before = [data.cache_key(file), data.cache_key(function), data.metric_key(function)]
    np.savez(folder / "digits.npz", images=np.ones(9), labels=np.ones(9))
    (folder / "rows_of_a_test.py").write_text(f"{FUNCTION}# another line\n")
    after = [data.cache_key(file), data.cache_key(function), data.metric_key(function)]
    assert not any(one == other for one, other in zip(before, after, strict=True))
    assert data.metric_key(file) == ("accuracy",)
