from __future__ import annotations

import pytest

from autotune.core.space_types import Price


def test_a_million_samples_cost_the_hours_that_they_take() -> None:
    assert Price(per_hour=0.36).per_million(100.0) == pytest.approx(1.0)
    assert Price(per_hour=0.36).per_million(50.0) == pytest.approx(2.0)
