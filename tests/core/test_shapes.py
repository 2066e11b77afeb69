from __future__ import annotations

from typing import Any

import pytest

from autotune.core import shapes


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ([[4, 3, 8]], 4),
        ([["batch", 3]], None),
        ([[None, 3]], None),
        ([[4, 3], ["batch", 3]], None),  # a table beside the batch
        ([[4, 3], []], 4),
        ([], None),
    ],
)
def test_a_batch_is_fixed_where_no_input_leaves_it_open(given: list[list[Any]], size: int | None) -> None:
    assert shapes.fixed_batch(given) == size
