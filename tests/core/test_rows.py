from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autotune.core import rows

ARRAYS = (np.arange(12).reshape(4, 3), np.arange(8).reshape(2, 4), np.array(5))


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        ([[8, 3]], (0,)),
        ([[8, 3], [8]], (0, 0)),
        ([[8, 512], [2, 8, 128], []], (0, 1, None)),
        ([[], [8, 3]], (None, 0)),
        ([[8, 3], [4, 3]], None),
    ],
)
def test_the_batch_is_found_by_the_number_of_rows(shapes: list[list[int]], axes: Any) -> None:
    assert rows.found(shapes) == axes


def test_rows_are_taken_along_each_batch_dimension() -> None:
    assert rows.count(ARRAYS, (0, 1, None)) == 4
    first, second, third = rows.taken(ARRAYS, (0, 1, None), [3, 0])
    assert first.tolist() == [[9, 10, 11], [0, 1, 2]]
    assert second.tolist() == [[3, 0], [7, 4]]
    assert third is ARRAYS[2]
