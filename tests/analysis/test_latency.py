from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.analysis import latency
from autotune.analysis.latency import PERCENTILES, Latencies
from autotune.core.results import Latency

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


def test_a_summary_has_all_percentiles_and_the_highest_that_is_backed() -> None:
    found = calls((1_000_000, 50), (2_000_000, 42), (3_000_000, 4), (4_000_000, 4)).summary()
    assert found == Latency(calls=100, p50_ms=1.0, p90_ms=2.0, p95_ms=3.0, p99_ms=4.0, backed="p95")
    few = calls((5_000_000, 3)).summary()
    assert few == Latency(calls=3, p50_ms=5.0, p90_ms=5.0, p95_ms=5.0, p99_ms=5.0, backed=None)


# --------------------------------------------------------------------------------------------------------- rows


def test_the_rows_of_the_named_blocks_are_loaded(tmp_path: Path) -> None:
    rows = np.array([(0, 1, 2, 30), (1, 2, 1, 10), (0, 3, 2, 20), (0, 2, 3, 40)])
    np.save(tmp_path / "latencies.npy", rows)
    found = latency.load_rows(tmp_path, {2, 3})
    assert found is not None
    assert found.tolist() == rows[1:].tolist()


def test_a_folder_without_latencies_has_no_rows(tmp_path: Path) -> None:
    assert latency.load_rows(tmp_path, {1}) is None


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "latencies.npy", np.array([[{}] * 4]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        latency.load_rows(tmp_path, {1})


def test_parts_without_calls_are_left_out() -> None:
    nothing, rows = np.empty((0, 4), np.int64), np.array([(0, 0, 2_000_000, 7)])
    assert latency.merge([]) is latency.merge([None, nothing]) is None
    merged = latency.merge([rows, None, nothing, rows])
    assert merged is not None and (merged.calls, merged.percentile_ms("p50")) == (14, 2.0)
