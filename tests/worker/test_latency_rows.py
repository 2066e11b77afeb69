from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker.latency_rows import MAX_CALLS, latency_rows


def test_few_calls_are_kept_each() -> None:
    rows = latency_rows(4, [300, 100, 300])
    assert rows.tolist() == [[4, 300, 1], [4, 100, 1], [4, 300, 1]]
    assert rows.dtype == np.int64


def test_no_calls_are_no_rows() -> None:
    rows = latency_rows(4, [])
    assert (rows.shape, rows.dtype) == ((0, 3), np.int64)


def test_calls_up_to_the_limit_are_kept_each() -> None:
    assert len(latency_rows(0, range(1, MAX_CALLS + 1))) == MAX_CALLS


@given(seed=st.integers(0, 2**32), scale=st.floats(1.0, 12.0))
def test_more_calls_become_a_histogram(seed: int, scale: float) -> None:
    # latencies from a microsecond up to years
    rng = np.random.default_rng(seed)
    values = np.sort((1000 * np.exp(rng.random(MAX_CALLS + 1) * scale)).astype(np.int64))
    rows = latency_rows(7, values)
    assert set(rows[:, 0]) == {7}
    assert rows[:, 2].sum() == len(values)
    assert len(rows) <= scale * 100 + 2
    binned = np.repeat(rows[:, 1], rows[:, 2])
    assert np.abs(binned / values - 1).max() <= 0.01


def test_quantiles_survive_the_histogram() -> None:
    values = np.random.default_rng(0).lognormal(15, 0.5, 200_000).astype(np.int64)
    rows = latency_rows(0, values)
    binned = np.repeat(rows[:, 1], rows[:, 2])
    for q in (0.5, 0.9, 0.99):
        assert np.quantile(binned, q) == pytest.approx(np.quantile(values, q), rel=0.01)
