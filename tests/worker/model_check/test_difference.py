from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from autotune.worker.model_check import difference

FLOATS = arrays.arrays(np.float32, (4, 3), elements=st.floats(-1e3, 1e3, width=32))


@given(FLOATS)
def test_an_output_does_not_differ_from_itself(output: np.ndarray) -> None:
    assert difference.between(output, output) == 0


@given(FLOATS, FLOATS, st.floats(0.01, 100))
def test_the_difference_does_not_depend_on_the_unit(one: np.ndarray, other: np.ndarray, unit: float) -> None:
    wide = [array.astype(np.float64) for array in (one, other)]
    assume(wide[0].any())
    expected = difference.between(*wide)
    assert difference.between(*(array * unit for array in wide)) == pytest.approx(expected, rel=1e-6)


def test_the_mean_in_the_place_of_each_row_differs_by_all_of_the_variation() -> None:
    output = np.random.default_rng(0).standard_normal((100, 3))
    assert difference.between(output, np.broadcast_to(output.mean(0), output.shape)) == pytest.approx(1)


def test_of_whole_numbers_and_truths_the_share_that_differs_counts() -> None:
    assert difference.between(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25
    assert difference.between(np.array([True, False]), np.array([True, True])) == 0.5


def test_nan_and_masked_values_are_equal_to_themselves() -> None:
    output = np.array([[1.0, np.nan, -np.inf], [2.0, np.nan, -3e38]])
    assert difference.between(output, output.copy()) == 0


def test_a_single_number_has_no_rows_and_no_error() -> None:
    assert difference.between(np.float32(1), np.float32(1)) == 0 < difference.between(np.float32(1), np.float32(2))


def test_outputs_that_hardly_vary_divide_by_no_zero() -> None:
    assert 0 < difference.between(np.ones((3, 2)), np.ones((3, 2)) + 1e-9) < 1e-6
    assert difference.largest({}, {}) == 0
