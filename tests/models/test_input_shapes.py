from __future__ import annotations

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.workload_spec import InputSpec
from autotune.models.input_shapes import fitting

DESCRIBED = (
    InputSpec(shape=("batch", 3), dtype="bfloat16"),
    InputSpec(shape=(2, "batch"), dtype="int32", name="state"),
)


def test_arrays_have_the_types_and_batch_dimensions_that_are_described() -> None:
    (one, two), axes = fitting((np.ones((5, 3)), np.ones((2, 5), np.int64)), DESCRIBED, "a.npz")
    assert (one.dtype, two.dtype, axes) == (np.float32, np.int32, (0, 1))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(5, 3)], "a.npz has 1 arrays for 2 inputs: ['batch', 3], state; give each its array"),
        ([(5, 4), (2, 5)], "input 0 of a.npz has shape (5, 4); ['batch', 3] is described"),
        ([(5, 3), (5,)], "input 'state' of a.npz has shape (5,); [2, 'batch'] is described"),
    ],
)
def test_an_array_that_does_not_fit_is_said(shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        fitting(tuple(map(np.zeros, shapes)), DESCRIBED, "a.npz")
    assert str(caught.value) == message
