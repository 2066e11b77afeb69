from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker import batches

AXES = (0, 0)


def numbered(count: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Two inputs whose rows are numbered."""
    return np.arange(count)[:, None] * np.ones((1, 3)), np.arange(count)


@given(st.integers(1, 20), st.integers(1, 5))
def test_batches_hold_the_rows_in_order(size: int, count: int) -> None:
    parts = batches.cut(numbered(size * count), AXES, size)
    assert len(parts) == count
    assert all(len(array) == size for part in parts for array in part)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), np.arange(size * count))


def test_rows_lie_along_the_batch_dimension_of_each_input() -> None:
    rows, table = np.arange(6), np.arange(4)
    whole = (rows[:, None] * np.ones((1, 3)), rows * np.ones((2, 6)), table, np.int64(5)[()])
    for begin, part in zip((0, 3), batches.cut(whole, (0, 1, None, None), 3), strict=True):
        first, second, third, fourth = part
        np.testing.assert_array_equal(first[:, 0], rows[begin : begin + 3])
        np.testing.assert_array_equal(second, np.arange(begin, begin + 3) * np.ones((2, 3)))
        assert (third is table, fourth) == (True, 5)
        assert all(array.flags.c_contiguous for array in (first, second))


def test_the_first_batch_is_that_of_its_size() -> None:
    for mine, whole in zip(batches.cut(numbered(8), AXES, 4)[0], numbered(4), strict=True):
        np.testing.assert_array_equal(mine, whole)
        assert mine.flags.c_contiguous


@given(st.integers(1, 100), st.integers(1, 12))
def test_both_ends_and_the_middle_have_a_reference(count: int, known: int) -> None:
    rows = batches.reference_rows(count, known)
    first, last = min(known, count), min(known, max(0, count - known))
    assert list(rows[:first]) == list(range(first))
    assert list(rows[count - last :]) == list(range(last))[::-1]
    between = rows[first : count - last]
    middle = np.flatnonzero(between >= 0)
    assert len(middle) == min(known, len(between))
    if len(middle):
        assert list(middle) == list(range(middle[0], middle[-1] + 1))
        assert abs(middle[0] - (len(between) - 1 - middle[-1])) <= 1
        assert set(between[middle]) <= set(range(known)) and len(set(between[middle])) == len(middle)
        assert rows[(count - 1) // 2] >= 0 or rows[count // 2] >= 0


@given(st.integers(1, 40), st.integers(1, 12))
def test_inputs_are_those_of_their_references(size: int, known: int) -> None:
    parts, rows = batches.with_reference_rows(numbered, AXES, size, known)
    whole, inputs = numbered(len(rows)), np.concatenate([part[1] for part in parts])
    assert all(len(array) == size and array.flags.c_contiguous for part in parts for array in part)
    assert known <= len(inputs) == len(rows) < known + size
    np.testing.assert_array_equal(inputs, np.where(rows >= 0, rows, whole[1]))


def test_a_half_of_a_batch_does_not_pass_for_the_other() -> None:
    rows = batches.reference_rows(16, 8)
    assert not (rows[:8] == rows[8:]).any()
