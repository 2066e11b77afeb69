from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from autotune.core.errors import ModelError
from autotune.worker import scoring

LABELS = np.array([0, 2, 1, 1])
SCORES = np.array([[5.0, 1, 0], [0, 1, 9], [3, 2, 1], [0, 1, 0]])


def refused(call: Any, *given: Any) -> str:
    with pytest.raises(ModelError) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------ the answers


def test_the_largest_score_is_the_class() -> None:
    assert scoring.predicted_classes((SCORES, SCORES[:, 0]), LABELS).tolist() == [0, 2, 0, 1]
    masked = np.where(SCORES < 1, -np.inf, SCORES)
    assert scoring.predicted_classes((masked,), LABELS).tolist() == [0, 2, 0, 1]


def test_whole_numbers_are_the_classes_themselves() -> None:
    assert scoring.predicted_classes((np.array([0, 2, 7, 1]), SCORES), LABELS).tolist() == [0, 2, 7, 1]
    assert refused(scoring.predicted_classes, (np.array([0, 2, 7]),), LABELS).startswith(
        "the first output has shape (3,)"
    )


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (SCORES, np.array([0, 3, 1, 1]), "label 3 is none of the model's 3 classes; they are 0 to 2"),
        (SCORES, np.array([0, -1, 1, 1]), "label -1 is none of the model's 3 classes; they are 0 to 2"),
        (SCORES, LABELS.astype(float), "the labels are float64 of shape (4,); accuracy and f1 need one whole number"),
        (SCORES, LABELS[:, None], "the labels are int64 of shape (4, 1); accuracy and f1 need one whole number"),
        (
            SCORES[:3],
            LABELS,
            "the first output has shape (3, 3) for 4 samples; accuracy and f1 need (samples, classes)",
        ),
        (SCORES[:, 0], LABELS, "the first output has shape (4,) for 4 samples"),
        (SCORES[:, :1], LABELS, "the first output has shape (4, 1) for 4 samples"),
        (np.where(SCORES == 9, np.nan, SCORES), LABELS, "the first output is NaN for 1 of 4 samples"),
    ],
)
def test_classes_and_labels_that_do_not_fit_are_said(scores: Any, labels: Any, message: str) -> None:
    assert refused(scoring.predicted_classes, (scores,), labels).startswith(message)


def test_a_function_scores_each_sample() -> None:
    def distance(outputs: Any, labels: Any) -> Any:
        assert isinstance(outputs, tuple)
        return [-abs(row.argmax() - label) for row, label in zip(outputs[0], labels, strict=True)]

    found = scoring.sample_scores(distance, "m.py:distance", (SCORES,), LABELS)
    assert (found.tolist(), found.dtype) == ([0, 0, -1, 0], np.float64)


def broken(outputs: Any, labels: Any) -> Any:
    raise KeyError("no such\nlabel")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (broken, "metric m.py:f raised KeyError: 'no such\\nlabel'"),
        (lambda outputs, labels: 1 / 0, "metric m.py:f raised ZeroDivisionError: division by zero"),
        (lambda outputs, labels: 0.9, "metric m.py:f returned one float for 4 samples; return one score a sample"),
        (lambda outputs, labels: None, "metric m.py:f returned one NoneType for 4 samples; return one score a sample"),
        (lambda outputs, labels: np.ones(3), "metric m.py:f returned float64 of shape (3,) for 4 samples; return one"),
        (lambda outputs, labels: np.ones((4, 2)), "metric m.py:f returned float64 of shape (4, 2) for 4 samples"),
        (lambda outputs, labels: ["a"] * 4, "metric m.py:f returned <U1 of shape (4,) for 4 samples"),
        (lambda outputs, labels: [1, np.nan, 2, 3], "metric m.py:f returned NaN or Inf for 1 of 4 samples"),
    ],
)
def test_a_metric_that_gives_no_scores_is_said(function: Any, message: str) -> None:
    assert refused(scoring.sample_scores, function, "m.py:f", (SCORES,), LABELS).startswith(message)


# ---------------------------------------------------------------------------------------------------------- figures


def test_the_value_is_a_share_or_a_mean() -> None:
    assert scoring.value("accuracy", np.array([0, 2, 0, 1]), LABELS) == 0.75
    assert scoring.value("m.py:f", np.array([0.5, 1, 0, 0]), LABELS) == 0.375


@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(1, 60))
def test_macro_f1_is_scikit_learns(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    labels, found = rng.integers(classes, size=(2, count))
    expected = f1_score(labels, found, average="macro", zero_division=0)
    assert scoring.macro_f1(found, labels.astype(np.uint64)) == pytest.approx(expected)


def test_a_drop_is_how_much_lower_the_other_is() -> None:
    labels = np.zeros(200, int)
    reference, answers = np.zeros(200, int), np.zeros(200, int)
    reference[:10] = 1
    answers[5:35] = 1
    found = scoring.drop("accuracy", reference, answers, labels)
    assert found.estimate == pytest.approx(20 / 200)
    assert found.low is not None and found.high is not None
    assert 0 < found.low < found.estimate < found.high < 0.2


def test_the_paired_interval_is_agresti_and_mins() -> None:
    # the formula written out for the counts 8 and 2 of 50 pairs
    one, other = np.zeros(50, bool), np.zeros(50, bool)
    one[:8] = True
    other[8:10] = True
    b, c, n = 8.5, 2.5, 52
    middle = (b - c) / n
    half = scipy.stats.norm.ppf(0.975) * np.sqrt(b / n + c / n - middle**2) / np.sqrt(n)
    assert scoring.paired_shares(one, other) == pytest.approx((middle - half, middle + half))


def test_without_a_difference_the_paired_interval_still_has_a_width() -> None:
    same = np.ones(100, bool)
    low, high = scoring.paired_shares(same, same)
    assert low == -high and 0.01 < high < 0.05
    low, high = scoring.paired_shares(same[:1], ~same[:1])
    assert high == 1 and -1 < low < 0  # a share is at most 1


@pytest.mark.parametrize(("gained", "lost", "count"), [(0.02, 0.01, 200), (0.1, 0.03, 100), (0.3, 0.3, 50)])
def test_the_paired_interval_covers(gained: float, lost: float, count: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        kind = rng.choice(3, size=count, p=[gained, lost, 1 - gained - lost])
        low, high = scoring.paired_shares(kind != 1, kind != 0)
        covered += low <= gained - lost <= high
    assert 0.935 < covered / 2000 <= 0.995


def test_the_bootstrap_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=300)
    found = scoring.bootstrap(lambda rows: float(values[rows].mean()), len(values))
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), rel=0.02)
    assert scoring.bootstrap(lambda rows: float(values[rows].mean()), len(values)) == found


def test_the_bootstrap_covers_the_drop_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        reference = rng.normal(0.8, 0.2, 150)
        answers = reference - rng.normal(0.05, 0.1, 150)
        low, high = scoring.bootstrap(lambda rows, d=reference - answers: float(d[rows].mean()), 150, resamples=300)
        covered += low <= 0.05 <= high
    assert 0.9 < covered / 300 < 0.985


@pytest.mark.parametrize("metric", ["f1", "m.py:f"])
def test_pairs_make_the_interval_of_a_drop_narrow(metric: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=400)
    reference = np.where(rng.random(400) < 0.7, labels, 0)
    answers = reference.copy()
    answers[:8] = (answers[:8] + 1) % 5
    if metric != "f1":
        reference, answers = 1.0 * (reference == labels), 1.0 * (answers == labels)
    found = scoring.drop(metric, reference, answers, labels)
    expected = scoring.value(metric, reference, labels) - scoring.value(metric, answers, labels)
    assert found.estimate == pytest.approx(expected)
    assert found.low is not None and found.high is not None
    assert found.low <= found.estimate <= found.high
    assert found.high - found.low < 0.04  # unpaired, either alone is known to ±0.045 only
    same = scoring.drop(metric, reference, reference, labels)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
