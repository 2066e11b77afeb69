from __future__ import annotations

import pytest

from autotune.core.space_types import Limit


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(metric="setup_s", max=250.0), "at most 250"),
        (Limit(metric="setup_s", min=0.99), "at least 0.99"),
        (Limit(metric="setup_s", min=0.0, max=1.0), "at least 0 and at most 1"),
    ],
)
def test_the_bounds_of_a_limit_are_said(limit: Limit, text: str) -> None:
    assert limit.bounds == text
