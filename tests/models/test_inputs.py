from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.workload_spec import Dtype, InputSpec
from autotune.models.inputs import array

DTYPES: tuple[Dtype, ...] = get_args(Dtype)
WHOLE = ("int8", "uint8", "int32", "int64")


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int | str, ...]:
    """Sizes with the batch in any place."""
    sizes = draw(st.lists(st.integers(1, 5), max_size=3))
    place = draw(st.integers(0, len(sizes)))
    return (*sizes[:place], "batch", *sizes[place:])


inputs = st.builds(
    lambda shape, dtype, low, span, bounded: InputSpec(
        shape=shape, dtype=dtype, low=low, high=low + span, bounded=bounded
    ),
    shapes(),
    st.sampled_from(DTYPES),
    st.integers(0, 60),
    st.integers(1, 60),
    st.booleans(),
)
seeds = st.integers(0, 2**32 - 1)


@given(inputs, seeds, st.integers(0, 3), st.integers(1, 9), st.integers(1, 9))
def test_a_smaller_batch_is_the_start_of_a_larger(one: InputSpec, seed: int, index: int, small: int, more: int) -> None:
    larger = np.moveaxis(array(one, small + more, seed, index), one.batch_axis or 0, 0)
    smaller = np.moveaxis(array(one, small, seed, index), one.batch_axis or 0, 0)
    np.testing.assert_array_equal(smaller, larger[:small])


@given(inputs, seeds, st.integers(1, 9))
def test_arrays_are_what_the_input_says(one: InputSpec, seed: int, size: int) -> None:
    made = array(one, size, seed, 0)
    assert made.dtype == np.dtype("float32" if one.dtype == "bfloat16" else one.dtype)
    assert made.shape == tuple(size if part == "batch" else part for part in one.shape)
    assert made.flags.c_contiguous
    if one.dtype in WHOLE:
        assert one.low <= made.min() <= made.max() < one.high
    elif one.bounded and "float" in one.dtype:
        assert one.low <= made.min() <= made.max() <= one.high  # a float may be rounded up to it


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_vary(dtype: Dtype) -> None:
    made = array(InputSpec(shape=("batch", 100), dtype=dtype, high=5), 2, 0, 0)
    assert len(np.unique(made)) > 1
    assert not np.array_equal(made[0], made[1])


def test_floats_are_standard_normal() -> None:
    made = array(InputSpec(shape=("batch", 1000)), 100, 0, 0)
    assert abs(made.mean()) < 0.02
    assert abs(made.std() - 1) < 0.02


def test_bounded_floats_are_uniform() -> None:
    made = array(InputSpec(shape=("batch", 1000), low=-1, high=3, bounded=True), 100, 0, 0)
    assert abs(made.mean() - 1) < 0.02
    assert abs(made.std() - 4 / 12**0.5) < 0.02


def test_integers_take_every_value_below_high() -> None:
    made = array(InputSpec(shape=("batch", 1000), dtype="int64", low=3, high=6), 1, 0, 0)
    assert sorted(np.unique(made)) == [3, 4, 5]


def test_the_seed_decides() -> None:
    one = InputSpec(shape=("batch", 8))
    assert np.array_equal(array(one, 2, 7, 0), array(one, 2, 7, 0))
    assert not np.array_equal(array(one, 2, 7, 0), array(one, 2, 8, 0))


def test_a_shape_without_the_batch_is_the_same_for_every_batch() -> None:
    one = InputSpec(shape=(4, 3))
    np.testing.assert_array_equal(array(one, 2, 0, 0), array(one, 9, 0, 0))


def test_a_constant_is_what_is_written() -> None:
    rate = array(InputSpec(value=16000, dtype="int64"), 4, 0, 0)
    assert (rate.shape, rate.dtype, int(rate)) == ((), np.int64, 16000)
    table = array(InputSpec(value=[[1, 2], [3, 4]], dtype="float16"), 4, 0, 0)
    assert (table.shape, table.dtype, table.tolist()) == ((2, 2), np.float16, [[1, 2], [3, 4]])


def test_a_state_begins_with_zeros_or_as_its_bounds_say() -> None:
    assert not array(InputSpec(shape=(2, "batch", 8), state="hn"), 3, 0, 0).any()
    drawn = array(InputSpec(shape=(2, "batch", 8), state="hn", low=1, high=2, bounded=True), 3, 0, 0)
    assert 1 <= drawn.min() < drawn.max() < 2
