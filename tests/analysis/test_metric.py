from __future__ import annotations

import math

import pytest

from autotune.analysis.metrics import METRICS


@pytest.mark.parametrize(("name", "better", "worse"), [("throughput", 20.0, 10.0), ("setup_s", 1.0, 2.0)])
def test_a_score_is_a_logarithm_of_which_more_is_better(name: str, better: float, worse: float) -> None:
    difference = METRICS[name].score(better) - METRICS[name].score(worse)
    assert difference == pytest.approx(math.log(2))


def test_nothing_prepared_counts_as_a_byte_and_no_cost_as_next_to_none() -> None:
    assert METRICS["artifact_bytes"].score(0) == METRICS["artifact_bytes"].score(1) == 0.0
    assert METRICS["cpu_s_per_sample"].score(0.0) == pytest.approx(-math.log(1e-9))
