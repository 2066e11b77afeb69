from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.models import sources
from autotune.models.sources import Rows
from tests.models.rows import folder

__all__ = ["folder"]


def nobody(name: str) -> Callable[..., Any] | None:
    """A provider that offers nothing."""
    return None


def read(source: Path | str, *, labelled: bool = True, most: int = 1000, own: sources.Own = nobody) -> Rows:
    return sources.read(str(source), labelled, most, 0, own)


def refused(source: Path | str, **given: Any) -> str:
    with pytest.raises(ModelError) as caught:
        read(source, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stored(folder: Path, **arrays: Any) -> Path:
    path = folder / "wrong.npz"
    np.savez(path, **arrays)
    return path


# ------------------------------------------------------------------------------------------------ where they come from


def test_sources_are_found_beside_the_space_file(folder: Path) -> None:
    (folder / "texts.txt").write_text("one\n")
    for labelled in (True, False):
        assert sources.resolve("digits.npz", folder, labelled) == str(folder / "digits.npz")
        for name in ("rows_of_a_test.py:images", "rows_of_a_test:images"):
            assert sources.resolve(name, folder, labelled) == f"{folder}/rows_of_a_test.py:images"
        assert sources.resolve("package.of.mine:images", folder, labelled) == "package.of.mine:images"
    assert sources.resolve("texts.txt", folder, labelled=False) == str(folder / "texts.txt")
    assert sources.resolve(".", folder, labelled=False) == str(folder)


FUNCTIONS = "a function is written file.py:function or package.module:function"


@pytest.mark.parametrize(
    ("name", "labelled", "message"),
    [
        ("letters.npz", True, "there is no file 'letters.npz'; looked for in {folder}"),
        ("letters.txt", False, "there is no file 'letters.txt'; looked for in {folder}"),
        ("letters.py:load", True, "there is no file 'letters.py'; looked for in {folder}"),
        (
            "digits.csv",
            True,
            f"'digits.csv' is neither a .npz file nor a function; write such as digits.npz; {FUNCTIONS}",
        ),
        (
            "letters",
            False,
            "'letters' is neither a .npz file, a .txt file of texts, a folder of images nor a function; "
            f"write such as digits.npz; {FUNCTIONS}",
        ),
        (".", True, "'.' has no labels; write it as `inputs`, or a function that returns (inputs, labels)"),
        ("t.txt", True, "'t.txt' has no labels; write it as `inputs`, or a function that returns (inputs, labels)"),
    ],
)
def test_what_is_not_there_or_has_no_labels_is_said(folder: Path, name: str, labelled: bool, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        sources.resolve(name, folder, labelled)
    assert str(caught.value) == message.format(folder=folder)


def test_a_function_returns_inputs_and_labels(folder: Path) -> None:
    found = read(f"{folder}/rows_of_a_test.py:images")
    np.testing.assert_array_equal(found.arrays[0][:, 0], found.labels)
    one, two = read(f"{folder}/rows_of_a_test.py:pairs").arrays
    np.testing.assert_array_equal(two, one * 2)
    named = read(f"{folder}/rows_of_a_test.py:labelled_by_name")
    assert named.names == ("mask", "ids") and named.labels is not None


def test_without_labels_a_function_returns_the_inputs_alone(folder: Path) -> None:
    alone = read(f"{folder}/rows_of_a_test.py:alone", labelled=False)
    assert (len(alone.arrays), alone.names, alone.labels) == (1, (), None)
    assert read(f"{folder}/rows_of_a_test.py:by_name", labelled=False).names == ("mask", "ids")
    assert len(read(f"{folder}/rows_of_a_test.py:images", labelled=False).arrays) == 2


def test_without_labels_a_files_labels_are_no_input(folder: Path) -> None:
    found = read(folder / "digits.npz", labelled=False)
    assert (found.names, found.labels) == (("images", "mask"), None)
    assert read(stored(folder, images=np.ones(3)), labelled=False).names == ("images",)


def test_a_tensor_is_taken_as_an_array() -> None:
    class Tensor:
        def detach(self) -> Tensor:
            return self

        def cpu(self) -> np.ndarray[Any, Any]:
            return np.ones((3, 2))

    assert sources.array(Tensor(), "input 0").shape == (3, 2)


# --------------------------------------------------------------------------------------------------- images and texts


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "cats").mkdir()
    for name in ("b.png", "cats/a.JPG", "c.jpeg", "notes.md"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def decoder(name: str) -> Callable[..., Any] | None:
    """A provider that takes a file's name, or a text, for its content."""
    taken = {"images": lambda files: [file.name for file in files], "texts": list}.get(name)
    return taken and (lambda found: (np.array(taken(found)),))


def test_a_folders_images_are_decoded_in_the_order_of_their_paths(pictures: Path) -> None:
    found = read(pictures, labelled=False, own=decoder)
    assert found.arrays[0].tolist() == ["b.png", "c.jpeg", "a.JPG"]


def test_of_many_images_the_seed_chooses(pictures: Path) -> None:
    two = [sources.read(str(pictures), False, 2, seed, decoder).arrays[0].tolist() for seed in range(9)]
    assert len({tuple(names) for names in two}) > 1
    assert all(len(names) == 2 for names in two)
    assert two[0] == sources.read(str(pictures), False, 2, 0, decoder).arrays[0].tolist()


def test_each_line_that_is_not_blank_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffGrüße\r\n\n  \nzwei\n".encode())
    assert read(path, labelled=False, own=decoder).arrays[0].tolist() == ["Grüße", "zwei"]


def test_what_the_models_source_cannot_decode_is_said(pictures: Path) -> None:
    (pictures / "texts.txt").write_text("one\n")
    hint = "write a function that returns arrays instead of"
    assert refused(pictures, labelled=False) == f"the model's source decodes no images; {hint} {pictures}"
    path = pictures / "texts.txt"
    assert refused(path, labelled=False) == f"the model's source has no tokenizer for texts; {hint} {path}"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b" \n", "holds no text; write one a line"), (b"one\n\xff\n", "line 2, is not UTF-8; save it as UTF-8")],
)
def test_a_file_of_texts_that_cannot_be_used_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "texts.txt").write_bytes(content)
    assert message in refused(tmp_path / "texts.txt", labelled=False, own=decoder)


def test_a_folder_without_images_is_said(tmp_path: Path) -> None:
    assert "holds no images; allowed: .bmp, .gif, " in refused(tmp_path, labelled=False, own=decoder)


# ----------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arrays", "labelled", "message"),
    [
        (
            {"images": np.ones(9)},
            True,
            "holds images; it needs the array 'labels' and at least one input; "
            "write it with numpy.savez(path, images, labels=labels)",
        ),
        ({"labels": np.ones(9)}, True, "holds labels; it needs the array 'labels' and at least one input; write it"),
        (
            {"labels": np.ones(9)},
            False,
            "holds labels; it needs at least one input; write it with numpy.savez(path, images)",
        ),
        ({}, False, "holds nothing; it needs at least one input"),
        (
            {"images": np.array(1.0), "labels": np.ones(8)},
            True,
            "is float64 of shape (); give numbers, one row a sample",
        ),
        ({"images": np.ones((0, 3))}, False, "images of {path} is float64 of shape (0, 3); give numbers, one row a"),
        ({"images": np.array(["a", "b"])}, False, "images of {path} is <U1 of shape (2,); give numbers, one row a"),
        ({"images": np.array([None] * 4)}, False, "cannot be read as .npz: ValueError: Object arrays cannot be"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(folder: Path, arrays: dict[str, Any], labelled: bool, message: str) -> None:
    path = stored(folder, **arrays)
    assert message.format(path=path) in refused(path, labelled=labelled)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 half of one"])
def test_what_is_no_archive_is_said(folder: Path, content: bytes) -> None:
    path = folder / "broken.npz"
    path.write_bytes(content)
    assert refused(path).startswith(f"{path} cannot be read as .npz: it is no such archive; write it with numpy.savez")


def test_a_single_array_is_no_archive(folder: Path) -> None:
    np.save(folder / "one.npy", np.ones(8))
    os.rename(folder / "one.npy", folder / "one.npz")
    assert "cannot be read as .npz: it is no such archive; " in refused(folder / "one.npz")


@pytest.mark.parametrize(
    ("function", "labelled", "message"),
    [
        ("three", True, "returned a tuple; return a pair (inputs, labels)"),
        ("ragged", True, "cannot be an array: ValueError: "),
        ("words", True, "input 0 of {source} is object of shape (2,); give numbers, one row a sample"),
        ("nothing", False, "returned no input; return an array, a tuple of arrays or a dict of them"),
        ("raises", True, "{source} raised RuntimeError: of images"),
        ("missing", True, "has no function 'missing'"),
    ],
)
def test_a_function_that_cannot_be_used_is_said(folder: Path, function: str, labelled: bool, message: str) -> None:
    source = f"{folder}/rows_of_a_test.py:{function}"
    assert message.format(source=source) in refused(source, labelled=labelled)


# --------------------------------------------------------------------------------------------------------------- keys


def test_the_key_of_a_folder_is_that_of_the_images_chosen(pictures: Path) -> None:
    def key(most: int, seed: int = 0) -> tuple[Any, ...]:
        return sources.cache_key(str(pictures), most, seed)

    assert key(9) == key(3) and len(key(2)) == 2
    assert len({key(1, seed) for seed in range(9)}) > 1
    before, (name, _) = key(2), key(2)[0]
    (pictures / "notes.md").write_text("no image")
    assert key(2) == before
    next(pictures.rglob(name)).write_text("another image")
    assert key(2) != before
