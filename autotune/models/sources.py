"""The user's own rows as arrays: from a `.npz` file, a function, a folder of images, or a file of texts.

A `.npz` file holds an array an input, and labels under `labels`. A function (`file.py:function` or
`package.module:function`) is called without arguments and returns an array or tensor, several of them, or a dict by
the inputs' names; where labels are wanted, a pair of that and the labels. Of a folder (its subfolders included) images
are decoded as the model's own source says, of a `.txt` file each line is a text for the model's own tokenizer. Row i
of all arrays is one sample.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from autotune.core import user_function
from autotune.core.errors import ModelError
from autotune.core.user_files import absolute, sha256

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Arrays = tuple[Array, ...]

LABELS = "labels"
IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

Kind = Literal["npz", "texts", "function", "images"]

Own = Callable[[str], Callable[..., Any] | None]
"""A function that the model's provider offers for it, by its name: `images`, `texts`, `input_names`; else None."""


class Rows(NamedTuple):
    """An array an input, the names under which they were given (none if they have none), and the rows' labels."""

    arrays: Arrays
    names: tuple[str, ...] = ()
    labels: Array | None = None


def kind(source: str) -> Kind:
    """The kind of a source, by its name alone; what is no other is a folder."""
    if source.endswith(".npz"):
        return "npz"
    if source.endswith(".txt"):
        return "texts"
    file, _, function = source.rpartition(":")
    return "function" if file and function.isidentifier() else "images"


def resolve(source: str, folder: Path, labelled: bool) -> str:
    """The source independent of the space file's folder; ModelError if it is not there, or has no labels."""
    found = kind(source)
    if found == "function":
        return user_function.resolve(source, folder)
    if found == "images" and not (folder / source).is_dir():
        others = "" if labelled else ", a .txt file of texts, a folder of images"
        raise ModelError(
            f"{source!r} is neither a .npz file{others} nor a function; write such as digits.npz; "
            "a function is written file.py:function or package.module:function"
        )
    if labelled and found in ("images", "texts"):
        raise ModelError(f"{source!r} has no labels; write it as `inputs`, or a function that returns (inputs, labels)")
    return absolute(source, folder) if found != "images" else str((folder / source).resolve())


def cache_key(source: str, most: int, seed: int) -> tuple[Any, ...]:
    """The key of the rows: the content of the file, of the images that are chosen, or of the function's own file."""
    found = kind(source)
    if found == "function":
        return (source, *user_function.cache_key(source))
    if found == "images":
        return tuple((file.name, sha256(file, "the image")) for file in _chosen(_files(source), most, seed))
    return (sha256(source, "the data"),)


def read(source: str, labelled: bool, most: int, seed: int, own: Own) -> Rows:
    """The rows of a source; of images and texts at most so many, chosen by the seed.

    ModelError in one line if they cannot be had.
    """
    found = kind(source)
    if found == "npz":
        return _stored(source, labelled)
    if found == "function":
        return _returned(source, labelled)
    decode = own(found)
    if decode is None:
        takes = "decodes no images" if found == "images" else "has no tokenizer for texts"
        raise ModelError(f"the model's source {takes}; write a function that returns arrays instead of {source}")
    return Rows(decode(_chosen(_files(source) if found == "images" else _lines(source), most, seed)))


def array(value: Any, what: str, kinds: str = "biuf") -> Array:
    """An array or a tensor of these kinds of values with at least one row; ModelError names what it is."""
    import numpy as np

    try:
        made = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{what} cannot be an array: {user_function.last_line(error)}") from error
    if made.dtype.kind not in kinds or made.ndim == 0 or len(made) == 0:
        raise ModelError(f"{what} is {made.dtype} of shape {made.shape}; give numbers, one row a sample")
    return made


# -------------------------------------------------------------------------------------------------- files of arrays


def _stored(path: str, labelled: bool) -> Rows:
    import numpy as np

    hint = f"write it with numpy.savez(path, images{', labels=labels' if labelled else ''})"
    if Path(path).is_file() and not zipfile.is_zipfile(path):
        raise ModelError(f"{path} cannot be read as .npz: it is no such archive; {hint}")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read as .npz: {user_function.last_line(error)}; {hint}") from error
    labels = arrays.pop(LABELS, None)
    if not arrays or (labelled and labels is None):
        has = ", ".join((*arrays, *([] if labels is None else [LABELS]))) or "nothing"
        needs = f"the array {LABELS!r} and " if labelled else ""
        raise ModelError(f"{path} holds {has}; it needs {needs}at least one input; {hint}")
    return Rows(
        tuple(array(found, f"{name} of {path}") for name, found in arrays.items()),
        tuple(arrays),
        array(labels, f"{LABELS} of {path}", "biufU") if labelled else None,
    )


# -------------------------------------------------------------------------------------------------------- functions


def _returned(source: str, labelled: bool) -> Rows:
    function = user_function.load(source)
    try:
        inputs: Any = function()
    except (Exception, SystemExit) as error:
        raise ModelError(f"{source} raised {user_function.last_line(error)}") from error
    labels = None
    if labelled:
        if not isinstance(inputs, tuple) or len(inputs) != 2:
            raise ModelError(f"{source} returned a {type(inputs).__name__}; return a pair (inputs, labels)")
        inputs, labels = inputs[0], array(inputs[1], f"{LABELS} of {source}", "biufU")
    names = tuple(map(str, inputs)) if isinstance(inputs, Mapping) else ()
    values = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    several = values if isinstance(values, tuple | list) else (values,)
    arrays = tuple(
        array(value, f"input {place} of {source}")
        for place, value in zip(names or range(len(several)), several, strict=True)
    )
    if not arrays:
        raise ModelError(f"{source} returned no input; return an array, a tuple of arrays or a dict of them")
    return Rows(arrays, names, labels)


# ------------------------------------------------------------------------------------------------- images and texts


def _files(folder: str) -> list[Path]:
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in IMAGES and path.is_file())
    if not found:
        raise ModelError(f"the folder {folder} holds no images; allowed: {', '.join(IMAGES)}")
    return found


def _lines(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ModelError(f"{path}, line {line}, is not UTF-8; save it as UTF-8") from error
    found = [line for line in lines if line.strip()]
    if not found:
        raise ModelError(f"{path} holds no text; write one a line")
    return found


def _chosen(found: list[Any], most: int, seed: int) -> list[Any]:
    """At most so many, chosen by the seed, in their order."""
    import numpy as np

    return [found[place] for place in sorted(np.random.default_rng(seed).permutation(len(found))[:most])]
