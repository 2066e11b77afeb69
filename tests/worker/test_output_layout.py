from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.outputs import tensors
from autotune.worker import output_layout
from autotune.worker.output_layout import Layout

Arrays = tuple[np.ndarray[Any, Any], ...]


class Session:
    """Returns what a function makes of a batch."""

    def __init__(self, model: Callable[[Any], Any]) -> None:
        self.model = model

    def convert(self, arrays: Arrays) -> Any:
        return arrays[0]

    def __call__(self, batch: Any) -> Any:
        return self.model(batch)

    def outputs(self, result: Any) -> Arrays:
        return tuple(array for _, array in tensors(result))

    def close(self) -> None: ...


ROWS = np.arange(24.0).reshape(8, 3)
Pair = namedtuple("Pair", "first second")


def layout(model: Callable[[Any], Any], fixed: bool = False) -> Layout:
    return output_layout.of(Session(model), (ROWS,), (0,), fixed=fixed)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (lambda x: x, ("output",)),
        (lambda x: (x,), ("0",)),
        (lambda x: [x, x], ("0", "1")),
        (lambda x: {"logits": x, "hidden": (x, [x])}, ("logits", "hidden.0", "hidden.1.0")),
        (lambda x: Pair(x, {"deep": x}), ("first", "second.deep")),
        (lambda x: {"loss": None, "cache": (None, x)}, ("cache.1",)),
    ],
)
def test_outputs_are_named_by_their_place(model: Any, names: tuple[str, ...]) -> None:
    assert layout(model) == Layout(names=names, axes=(0,) * len(names))


def test_a_runtime_that_returns_something_else_numbers_its_outputs_or_has_names_for_them() -> None:
    class Opaque(Session):
        def outputs(self, result: Any) -> Arrays:
            return result, result

    class Named(Opaque):
        output_names = ("logits", "hidden")

    for kind, names in ((Opaque, ("0", "1")), (Named, ("logits", "hidden"))):
        assert output_layout.of(kind(lambda x: x), (ROWS,), (0,), fixed=False).names == names


@pytest.mark.parametrize(
    ("model", "axes"),
    [
        (lambda x: (x, x.T), (0, 1)),
        (lambda x: (np.stack([x, x]), x), (1, 0)),
        (lambda x: (x, np.float32(3)), (0, None)),
        (lambda x: (x, np.eye(8)), (0, None)),  # as large as the batch by chance
        (lambda x: (x, x.mean()), (0, "whole")),
    ],
)
def test_the_rows_are_found_by_two_batch_sizes(model: Any, axes: tuple[Any, ...]) -> None:
    assert layout(model).axes == axes


def test_rows_are_put_in_front() -> None:
    found = Layout(names=("state", "scale", "mean", "rows"), axes=(1, None, "whole", 0))
    assert found.compared == ("state", "scale", "rows")
    state, scale, rows = found.in_front((np.stack([ROWS, -ROWS]), np.float32(3), np.float32(7), ROWS), 8)
    np.testing.assert_array_equal(state, np.stack([ROWS, -ROWS], axis=1))
    assert scale.tolist() == [3.0] * 8
    assert rows is not None and np.array_equal(rows, ROWS)
    assert len(found.in_front((ROWS, ROWS), 8)) == 2  # as they are: the comparison says how many there are


def test_batches_are_joined_along_their_rows() -> None:
    found = Layout(names=("state", "rows"), axes=(1, 0))
    parts = [(np.stack([part, part]), part) for part in (ROWS[:4], ROWS[4:])]
    state, rows = found.joined(parts, [4, 4])
    np.testing.assert_array_equal(rows, ROWS)
    np.testing.assert_array_equal(state[:, 1], ROWS)


def as_long_as_its_longest(x: Any) -> Any:
    return np.ones((len(x), int(x.max()), 2))


LOGITS = "the answer to a row depends on the rest of the batch"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: {}, "the model returns no tensor; there is nothing to compare"),
        (lambda x: x.sum(), r"no output has a dimension for the batch; their shapes are \(\); return tensors"),
        (
            lambda x: [{"boxes": x.sum(), "scores": x.max()}] * 8,
            r"their shapes are \(\), \(\), \(\), \(\), \.\.\.; return tensors",
        ),
        (lambda x: {"states": {1, 2}}, "output 'states' is a set; a model must return tensors"),
        (
            lambda x: [{"box": row} for row in x],
            "returns 8 tensors for a batch of 8 and 3 for one of 3; return tensors",
        ),
        (lambda x: {"logits": x @ x.T}, rf"{LOGITS} \(logits has shape \(8, 8\) for a batch of 8\); return"),
        (lambda x: x.reshape(-1), r"the output has shape \(24,\) for a batch of 8: several rows for each sample"),
        (lambda x: x.squeeze() if len(x) > 3 else x[0], r"the output has shape \(8, 3\) for a batch of 8 and \(3,\)"),
        (as_long_as_its_longest, "the output has 23 columns for one batch and 8 for another; pad it to a fixed length"),
        (lambda x: (x, as_long_as_its_longest(x)), "output 1 has 23 columns for one batch and 8 for another; pad"),
    ],
)
def test_outputs_without_a_place_for_each_row_are_refused(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layout(model)


def test_columns_that_differ_between_batches_are_named() -> None:
    found = Layout(names=("0",), axes=(0,))
    with pytest.raises(ModelError, match=r"^output 0 has 3 columns for one batch and 4 for another; pad it to a fixed"):
        found.joined([(np.ones((1, 3, 8)),), (np.ones((1, 4, 8)),)], [1, 1])
    found = Layout(names=("state",), axes=(1,))
    with pytest.raises(ModelError, match=r"^output 'state' has 3 values in dimension 2 for one batch and 4 for"):
        found.joined([(np.ones((2, 1, 3)),), (np.ones((2, 1, 4)),)], [1, 1])


def test_a_model_of_one_batch_size_is_not_called_with_another() -> None:
    def strict(x: Any) -> Any:
        if len(x) != 8:
            raise RuntimeError("shape '[8, 3]' is invalid for input of size 9")
        return np.stack([x, x])

    assert layout(strict, fixed=True).axes == layout(strict).axes == (1,)
