"""Labelled samples of the user's own, shuffled and split: rows to calibrate quantisation on, and others to judge.

They come from a `.npz` file, whose array `labels` holds the labels and whose other arrays are the inputs in the file's
order, or from a function (`file.py:function` or `package.module:function`) that is called without arguments and
returns (inputs, labels): arrays or tensors, the inputs one or several. Row i of all of them is one sample.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autotune.core import user_function
from autotune.core.errors import ModelError, did_you_mean
from autotune.core.user_files import absolute, sha256
from autotune.core.workload_spec import DataSpec

if TYPE_CHECKING:
    import numpy as np

    Arrays = tuple[np.ndarray[Any, Any], ...]

LABELS = "labels"
METRICS = ("accuracy", "f1")
LEAST_ROWS = 4
"""So that a quarter of them is at least one row to calibrate on."""


class Split(NamedTuple):
    """The inputs to calibrate on, and the inputs to judge with their labels; no row is in both."""

    calibration: Arrays
    inputs: Arrays
    labels: np.ndarray[Any, Any]


def resolve(source: str, folder: Path) -> str:
    """The source independent of the space file's folder; ModelError if it is not there."""
    if source.endswith(".npz"):
        return absolute(source, folder)
    return _function(source, folder, f"{source!r} is neither a .npz file nor a function; write such as digits.npz")


def resolve_metric(metric: str, folder: Path) -> str:
    """A metric by its name as it is, a function independent of the folder; ModelError if it is neither."""
    if metric in METRICS:
        return metric
    return _function(metric, folder, f"unknown metric {metric!r}{did_you_mean(metric, METRICS)}")


def _function(name: str, folder: Path, otherwise: str) -> str:
    file, _, function = name.rpartition(":")
    if not file or not function.isidentifier():
        raise ModelError(f"{otherwise}; a function is written file.py:function or package.module:function")
    return user_function.resolve(name, folder)


def cache_key(spec: DataSpec) -> tuple[Any, ...]:
    """The key of the rows: the content of the file or of the function's own file, and the numbers of rows."""
    is_file = spec.source.endswith(".npz")
    content = (sha256(spec.source, "the data"),) if is_file else _content(spec.source)
    return (*content, spec.samples, spec.calibration)


def metric_key(spec: DataSpec) -> tuple[Any, ...]:
    """The key of the metric: its name, and for a function the content of its own file."""
    return (spec.metric,) if spec.metric in METRICS else _content(spec.metric)


def _content(function: str) -> tuple[Any, ...]:
    return (function, *user_function.cache_key(function))


def load(spec: DataSpec, seed: int) -> Split:
    """At most `spec.samples` rows to judge, and `spec.calibration` others, but at most a quarter of all.

    The seed decides which; the first rows are the same for any number of samples. ModelError in one line if the data
    cannot be used.
    """
    import numpy as np

    inputs, labels = _stored(spec.source) if spec.source.endswith(".npz") else _returned(spec.source)
    rows = [len(array) for array in inputs]
    if set(rows) != {len(labels)}:
        sizes = ", ".join(map(str, rows)) or "no"
        raise ModelError(f"{spec.source} has {len(labels)} labels and inputs of {sizes} rows; give each row a label")
    if len(labels) < LEAST_ROWS:
        raise ModelError(f"{spec.source} has {len(labels)} rows; give at least {LEAST_ROWS}")
    order = np.random.default_rng(seed).permutation(len(labels))
    apart = min(spec.calibration, len(labels) // LEAST_ROWS)
    calibrating, judging = order[:apart], order[apart : apart + spec.samples]
    return Split(
        calibration=tuple(array[calibrating] for array in inputs),
        inputs=tuple(array[judging] for array in inputs),
        labels=labels[judging],
    )


def _stored(path: str) -> tuple[Arrays, np.ndarray[Any, Any]]:
    import numpy as np

    hint = "write it with numpy.savez(path, images, labels=labels)"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read as .npz: {user_function.last_line(error)}; {hint}") from error
    if LABELS not in arrays or len(arrays) < 2:
        has = ", ".join(arrays) or "nothing"
        raise ModelError(f"{path} holds {has}; it needs the array {LABELS!r} and at least one input; {hint}")
    labels = _array(arrays.pop(LABELS), f"{LABELS} of {path}")
    return tuple(_array(array, f"{name} of {path}") for name, array in arrays.items()), labels


def _returned(source: str) -> tuple[Arrays, np.ndarray[Any, Any]]:
    function = user_function.load(source)
    try:
        made: Any = function()
    except (Exception, SystemExit) as error:
        raise ModelError(f"{source} raised {user_function.last_line(error)}") from error
    if not isinstance(made, tuple) or len(made) != 2:
        raise ModelError(f"{source} returned a {type(made).__name__}; return a pair (inputs, labels)")
    inputs, labels = made
    several = inputs if isinstance(inputs, tuple | list) else (inputs,)
    named = (_array(value, f"input {index} of {source}") for index, value in enumerate(several))
    return tuple(named), _array(labels, f"{LABELS} of {source}")


def _array(value: Any, what: str) -> np.ndarray[Any, Any]:
    """An array or a tensor with at least one row."""
    import numpy as np

    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{what} cannot be an array: {user_function.last_line(error)}") from error
    if array.dtype.kind not in "biufU" or array.ndim == 0 or len(array) == 0:
        raise ModelError(f"{what} is {array.dtype} of shape {array.shape}; give numbers, one row a sample")
    return array
