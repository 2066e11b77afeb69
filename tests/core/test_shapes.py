from __future__ import annotations

from typing import Any

import pytest

from autotune.core import shapes
from autotune.core.errors import ModelError
from autotune.core.workload_spec import InputSpec


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ([[4, 3, 8]], 4),
        ([["batch", 3]], None),
        ([[None, 3]], None),
        ([[4, 3], ["batch", 3]], None),  # a table beside the batch
        ([[4, 3], []], 4),
        ([[1, 512], [2, 1, 128], []], 1),
        ([[2, "batch", 128]], None),
        ([], None),
    ],
)
def test_a_batch_is_fixed_where_no_input_leaves_it_open(given: list[list[Any]], size: int | None) -> None:
    assert shapes.fixed_batch(given) == size


def test_a_space_file_says_which_dimension_is_fixed() -> None:
    assert shapes.fixed_batch([[100, 1, 32]]) == 100
    assert shapes.fixed_batch([[100, 1, 32]], (1,)) == 1


@pytest.mark.parametrize(
    ("given", "axes"),
    [
        ([["batch", 512], [2, "batch", 128], []], (0, 1, None)),
        ([["seq", "batch", 80], ["batch"]], (1, 0)),
        ([["seq", "batch", 80]], (1,)),
        ([["N", 3, "H", "W"]], (0,)),
        ([["batch_size", "length"], ["batch_size", "length"]], (0, 0)),
        ([["ids_dim_0", 8], ["mask_dim_0", 8]], (0, 0)),
        ([[None, 512], [2, None, 128]], (0, 1)),
        ([["batch", 3], [4, 3]], (0, None)),
        ([[1, 512], [2, 1, 128], []], (0, 1, None)),
    ],
)
def test_the_batch_is_the_dimension_of_the_shared_name(given: list[list[Any]], axes: tuple[int | None, ...]) -> None:
    assert shapes.batch_axes(given) == axes


def named(*names: str | None) -> tuple[InputSpec, ...]:
    return tuple(InputSpec(shape=("batch",), name=name) for name in names)


def test_inputs_are_matched_by_name_or_by_place() -> None:
    assert shapes.order(["x", "state", "sr"], ()) == [0, 1, 2]
    assert shapes.order(["x", "state", "sr"], named(None, None, None)) == [0, 1, 2]
    assert shapes.order(["x", "state", "sr"], named("sr", "x", "state")) == [2, 0, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((None, None), "workload.inputs has 2 inputs; the model's are x, state, sr"),
        (("x", "state", None), "workload.inputs names only some inputs; name all of x, state, sr, or none"),
        (("x", "stat", "sr"), "the model has no input 'stat'; did you mean 'state'?"),
        (("x", "sr"), "workload.inputs has no 'state'; the model's inputs are x, state, sr"),
    ],
)
def test_inputs_that_are_not_the_models_are_said(names: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        shapes.order(["x", "state", "sr"], named(*names))
    assert str(caught.value) == message
