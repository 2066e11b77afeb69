from __future__ import annotations

import math

import pytest

from autotune.analysis.metric import Measured, Metric
from autotune.analysis.metrics import METRICS
from autotune.core.results import Sustained
from tests.report.made import result


@pytest.mark.parametrize(("name", "better", "worse"), [("throughput", 20.0, 10.0), ("setup_s", 1.0, 2.0)])
def test_a_score_is_a_logarithm_of_which_more_is_better(name: str, better: float, worse: float) -> None:
    difference = METRICS[name].score(better) - METRICS[name].score(worse)
    assert difference == pytest.approx(math.log(2))


def test_nothing_prepared_counts_as_a_byte_and_no_cost_as_next_to_none() -> None:
    assert METRICS["artifact_bytes"].score(0) == METRICS["artifact_bytes"].score(1) == 0.0
    assert METRICS["cpu_s_per_sample"].score(0.0) == pytest.approx(-math.log(1e-9))


def test_a_load_test_has_no_blocks() -> None:
    trial = result(1, rates=(20, 30))
    assert Measured(trial).blocks == trial.blocks and len(trial.blocks) == 2
    assert Measured(Sustained()).blocks == ()


def test_a_new_metric_is_an_objective_that_needs_nothing() -> None:
    made = Metric("watts", "W", "lower", "watts drawn", read=lambda measured: measured.rate)
    assert made.show(0.123456) == "0.1235"
    assert made.objective is True and made.rate_only is made.per_start is False
    assert made.bounds == (0.0, math.inf)
    assert (made.column, made.unmeasured) == ("objective", "it was not measured")
