from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.analysis import latency
from autotune.analysis.latency import PERCENTILES, Latencies

ENOUGH = {"p50": 7, "p90": 44, "p95": 90, "p99": 459}
"""Calls of which, at 99 % confidence, at least one lies above the percentile."""


def calls(*rows: tuple[int, int]) -> Latencies:
    """Latencies (ns), each of so many calls."""
    found = latency.merge([np.array([(0, 0, ns, count) for ns, count in rows], np.int64)])
    assert found is not None
    return found


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 300)), min_size=1, max_size=40))
def test_percentiles_are_those_of_all_calls_written_out(rows: list[tuple[int, int]]) -> None:
    found = calls(*rows)
    everything = np.repeat([ns for ns, _ in rows], [count for _, count in rows])
    assert found.calls == len(everything)
    for name, share in PERCENTILES.items():
        if len(everything) >= ENOUGH[name]:
            expected = np.quantile(everything, share, method="inverted_cdf") / 1e6
            assert found.backed_ms(name) == pytest.approx(expected)
        else:
            assert found.backed_ms(name) is None


@pytest.mark.parametrize(("name", "needed"), ENOUGH.items())
def test_a_percentile_needs_so_many_calls(name: str, needed: int) -> None:
    too_few = calls((2_000_000, needed - 1))
    enough = calls((2_000_000, needed))
    assert (too_few.backed_ms(name), enough.backed_ms(name)) == (None, 2.0)
    assert enough.highest_backed() == (name, 2.0)


def test_the_highest_percentile_that_is_backed_is_named() -> None:
    found = calls((1_000_000, 80), (9_000_000, 15))
    assert found.highest_backed() == ("p95", 9.0)
    assert found.backed_ms("p50") == 1.0
    assert calls((1_000_000, 3)).highest_backed() is None
