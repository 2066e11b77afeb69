from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis import stats
from autotune.core.estimate import Estimate
from autotune.core.rules import MeasureRules

RULES = MeasureRules()
SOME = [101.0, 99.5, 103.2, 97.9, 100.4, 102.2]
OTHER = [48.0, 55.5, 51.0, 47.2]

rates = st.lists(st.floats(0.1, 1000), min_size=2, max_size=40)
confidences = st.floats(0.5, 0.99)


def t_test():
    """scipy.stats, here only: it takes more than a second to import."""
    import scipy.stats

    return scipy.stats


# ------------------------------------------------------------------------------------------------------ interval


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_interval_is_students_around_the_median(confidence: float) -> None:
    logs = np.log(SOME)
    expected = t_test().t.interval(confidence, len(SOME) - 1, loc=np.median(logs), scale=t_test().sem(logs))
    found = stats.interval(SOME, confidence)
    assert found.estimate == pytest.approx(math.exp(np.median(logs)))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(expected)))


def test_a_burst_does_not_move_the_estimate() -> None:
    assert stats.interval([10.0, 10.1, 9.9, 10.0, 3.0], 0.9).estimate == pytest.approx(10.0)


def test_one_rate_has_no_interval() -> None:
    found = stats.interval([12.5], 0.9)
    assert (found.estimate, found.low, found.high) == (pytest.approx(12.5), None, None)


def test_equal_rates_have_an_interval_of_no_width() -> None:
    found = stats.interval([8.0] * 5, 0.9)
    assert (found.estimate, found.low, found.high) == pytest.approx((8.0, 8.0, 8.0))


@given(rates, confidences)
def test_interval_holds_its_estimate(values: list[float], confidence: float) -> None:
    found = stats.interval(values, confidence)
    assert found.low is not None and found.high is not None
    assert found.low <= found.estimate * (1 + 1e-9)
    assert found.estimate <= found.high * (1 + 1e-9)


@given(rates, confidences, st.floats(1e-3, 1e3))
def test_interval_scales_with_the_unit(values: list[float], confidence: float, factor: float) -> None:
    found = stats.interval(values, confidence)
    scaled = stats.interval([value * factor for value in values], confidence)
    assert (scaled.estimate, scaled.low, scaled.high) == pytest.approx(
        (found.estimate * factor, found.low * factor, found.high * factor), rel=1e-6
    )


@given(rates)
def test_more_confidence_is_wider(values: list[float]) -> None:
    assert stats.half_width(values, 0.8) <= stats.half_width(values, 0.95) * (1 + 1e-12)


def test_half_width_is_the_relative_width() -> None:
    logs = np.log(SOME)
    expected = t_test().t.ppf(0.95, len(SOME) - 1) * t_test().sem(logs)
    assert stats.half_width(SOME, 0.9) == pytest.approx(expected)


def test_half_width_of_one_rate_is_infinite() -> None:
    assert stats.half_width([100.0], 0.9) == math.inf


# --------------------------------------------------------------------------------------------------------- ratio


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_ratio_is_that_of_the_medians_with_welchs_width(confidence: float) -> None:
    result = t_test().ttest_ind(np.log(SOME), np.log(OTHER), equal_var=False)
    expected = result.confidence_interval(confidence)
    found = stats.ratio(SOME, OTHER, confidence)
    assert found.estimate == pytest.approx(math.exp(np.median(np.log(SOME)) - np.median(np.log(OTHER))))
    half = math.exp((expected.high - expected.low) / 2)
    assert (found.low, found.high) == pytest.approx((found.estimate / half, found.estimate * half))


@given(rates, rates)
def test_ratio_turned_round_is_the_inverse(a: list[float], b: list[float]) -> None:
    there, back = stats.ratio(a, b, 0.9), stats.ratio(b, a, 0.9)
    assert back.estimate == pytest.approx(1 / there.estimate, rel=1e-6)
    assert back.low == pytest.approx(1 / there.high, rel=1e-6)


def test_ratio_of_single_rates_has_no_interval() -> None:
    for a, b in [([4.0], [2.0]), ([4.0, 4.0], [2.0]), ([4.0], [2.0, 2.0])]:
        found = stats.ratio(a, b, 0.9)
        assert (found.estimate, found.low, found.high) == (pytest.approx(2.0), None, None)


def test_ratio_without_any_spread() -> None:
    found = stats.ratio([4.0, 4.0], [2.0, 2.0], 0.9)
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_ratio_of_equal_spreads_has_the_pooled_width() -> None:
    found = stats.ratio(SOME, SOME, 0.9)
    half = t_test().t.ppf(0.95, 2 * len(SOME) - 2) * t_test().sem(np.log(SOME)) * math.sqrt(2)
    assert (found.estimate, found.low, found.high) == pytest.approx((1.0, math.exp(-half), math.exp(half)))


def test_ratio_with_spread_on_one_side_only() -> None:
    found = stats.ratio([4.0, 4.0], [2.0, 2.1, 1.9], 0.9)
    alone = stats.half_width([2.0, 2.1, 1.9], 0.9)
    assert found.low is not None and found.high is not None
    assert math.log(found.high / found.low) / 2 == pytest.approx(alone)


# ---------------------------------------------------------------------------------------------------------- mean


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_mean_is_students(confidence: float) -> None:
    values = [-0.2, 0.1, 0.4, 0.05]
    expected = t_test().t.interval(confidence, 3, loc=np.mean(values), scale=t_test().sem(values))
    found = stats.mean(values, confidence)
    assert found.estimate == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(expected)


def test_mean_of_one_value_has_no_interval() -> None:
    assert stats.mean([-0.3], 0.9) == Estimate(estimate=-0.3, low=None, high=None)


def test_an_estimate_of_logs_becomes_one_of_rates() -> None:
    found = stats.from_logs(Estimate(estimate=0.0, low=math.log(0.5), high=math.log(2)))
    assert (found.estimate, found.low, found.high) == pytest.approx((1.0, 0.5, 2.0))
    assert stats.from_logs(Estimate(estimate=0.0, low=None, high=None)) == Estimate(estimate=1.0, low=None, high=None)


# --------------------------------------------------------------------------------------------------- percentiles


@pytest.mark.parametrize(("percentile", "calls"), [(0.5, 7), (0.9, 44), (0.95, 90), (0.99, 459)])
def test_the_fewest_calls_that_back_a_percentile(percentile: float, calls: int) -> None:
    assert stats.calls_needed(percentile) == calls
    assert stats.calls_over(calls - 1, percentile) is None
    assert stats.calls_over(calls, percentile) == 0


@pytest.mark.parametrize(("percentile", "calls"), [(0.9, 64), (0.99, 662)])
def test_the_fewest_calls_of_loadgen(percentile: float, calls: int) -> None:
    """MLPerf's loadgen always lets one call lie above: 64 queries for p90 and 662 for p99."""
    assert stats.calls_over(calls - 1, percentile) == 0
    assert stats.calls_over(calls, percentile) == 1


def test_no_calls_back_nothing() -> None:
    assert stats.calls_over(0, 0.5) is None


@given(st.integers(1, 20_000), st.floats(0.5, 0.999), st.floats(0.5, 0.999))
def test_calls_over_is_the_binomial_bound(calls: int, percentile: float, confidence: float) -> None:
    binom = t_test().binom
    over = stats.calls_over(calls, percentile, confidence)
    if over is not None:
        assert binom.cdf(over, calls, 1 - percentile) <= (1 - confidence) * (1 + 1e-9)
    assert binom.cdf(0 if over is None else over + 1, calls, 1 - percentile) > (1 - confidence) * (1 - 1e-9)


def test_a_claimed_percentile_is_a_bound() -> None:
    """The latency with so many above it is below the true percentile in at most 1 % of samples."""
    over = stats.calls_over(200, 0.9)
    assert over is not None
    latencies = np.sort(np.random.default_rng(1).random((20_000, 200)), axis=1)
    assert np.mean(latencies[:, -(over + 1)] < 0.9) <= 0.0125
    assert np.mean(latencies[:, -(over + 2)] < 0.9) > 0.01


# ------------------------------------------------------------------------------------------------------ runs


def test_the_optimal_rounds_are_kaliberas() -> None:
    assert stats.optimal_rounds(20, 1.4, 0.01, 0.0004) == pytest.approx(math.sqrt(20 / 1.4 * 0.01 / 0.0004))
    assert stats.optimal_rounds(20, 1.4, 0.01, 0.0) == math.inf


@pytest.mark.parametrize(("start_s", "within", "between"), [(20, 0.01, 0.0004), (5, 0.002, 0.001), (60, 0.05, 0.003)])
def test_the_optimal_rounds_give_the_least_variance(start_s: float, within: float, between: float) -> None:
    def variance(rounds: float) -> float:
        """Of the mean, when interleaved runs of so many rounds of 1.4 s share an hour."""
        return (between + within / rounds) * (start_s + 1.4 * rounds) / 3600

    best = stats.optimal_rounds(start_s, 1.4, within, between)
    assert variance(best) < min(variance(best * 0.9), variance(best * 1.1))


def test_components_are_those_of_the_analysis_of_variance() -> None:
    values = np.random.default_rng(1).normal(0, 0.1, (6, 4)) + np.random.default_rng(2).normal(0, 0.2, (6, 1))
    f = t_test().f_oneway(*values).statistic
    within, between = stats.variance_components(values.tolist())
    assert within == pytest.approx(values.var(axis=1, ddof=1).mean())
    assert between == pytest.approx((f - 1) * within / 4)


def test_components_of_two_runs() -> None:
    """Means of 2 and 6 have a variance of 8, of which half the variance of two values, 2, is their noise."""
    assert stats.variance_components([[1.0, 3.0], [5.0, 7.0]]) == pytest.approx((2.0, 7.0))


@pytest.mark.parametrize("sizes", [(4,) * 6, (2, 9, 1, 5, 3, 4)])
def test_components_are_unbiased(sizes: tuple[int, ...]) -> None:
    draw = np.random.default_rng(3)
    found = [
        stats.variance_components([(draw.normal(3, 0.3) + draw.normal(0, 0.2, size)).tolist() for size in sizes])
        for _ in range(3000)
    ]
    assert np.mean(found, axis=0) == pytest.approx([0.2**2, 0.3**2], rel=0.06)


def test_runs_that_differ_by_less_than_their_noise_do_not_differ() -> None:
    assert stats.variance_components([[1.0, 3.0], [3.0, 1.0], [2.0, 2.0]]) == (pytest.approx(4 / 3), 0.0)


@pytest.mark.parametrize("runs", [[], [[1.0, 2.0]], [[1.0], [2.0], [3.0]]])
def test_components_that_cannot_be_told(runs: list[list[float]]) -> None:
    assert stats.variance_components(runs) == (0.0, 0.0)


# ------------------------------------------------------------------------------------------------------ moderated


def test_moderated_mean_by_hand() -> None:
    """The variances are 0.01 with 2 degrees of freedom and 0.04 with 2: 0.025 with 4, whose t is 2.776."""
    found = stats.moderated_mean([0.1, 0.2, 0.3], 0.95, known=0.04, weight=2)
    half = 2.776445 * math.sqrt(0.025 / 3)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))


def test_one_value_has_the_interval_of_what_is_known_elsewhere() -> None:
    found = stats.moderated_mean([0.5], 0.95, known=0.04, weight=4)
    assert (found.low, found.high) == pytest.approx((0.5 - 2.776445 * 0.2, 0.5 + 2.776445 * 0.2))
    assert stats.moderated_mean([0.5], 0.95, known=0.0, weight=0) == Estimate(estimate=0.5, low=None, high=None)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), confidences, st.floats(0, 10))
def test_without_weight_it_is_students(values: list[float], confidence: float, known: float) -> None:
    assert stats.moderated_mean(values, confidence, known, 0) == stats.mean(values, confidence)


def test_much_that_is_known_elsewhere_decides() -> None:
    found = stats.moderated_mean([0.0, 0.0], 0.95, known=1.0, weight=1e6)
    assert found.high == pytest.approx(1.959964 / math.sqrt(2), rel=1e-4)


def test_the_sum_of_two_estimates_has_the_root_of_their_squared_sides() -> None:
    found = stats.summed(Estimate(estimate=1.0, low=0.7, high=1.6), Estimate(estimate=2.0, low=1.6, high=2.8))
    assert (found.estimate, found.low, found.high) == pytest.approx((3.0, 2.5, 4.0))
    unknown = stats.summed(Estimate(estimate=1.0, low=None, high=None), Estimate(estimate=2.0, low=1.6, high=2.8))
    assert (unknown.estimate, unknown.low, unknown.high) == (3.0, None, None)
