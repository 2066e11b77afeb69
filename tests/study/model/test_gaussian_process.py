from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from autotune.study.model import gaussian_process
from autotune.study.model.encoding import PointEncoder
from autotune.study.model.points import Parameters

AXES = {"batch": (1, 2, 4, 8), "backend": ("a", "b", "c"), "idle": ("x", "y", "z")}
POINTS: list[Parameters] = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
ENCODED = PointEncoder(AXES).encode(POINTS)
TRUTH = np.array([{"a": 3.0, "b": 4.0, "c": 2.0}[str(p["backend"])] + 0.2 * float(p["batch"]) for p in POINTS])


def some(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(POINTS))[:count]


def test_the_gradient_is_that_of_the_loss() -> None:
    rows = some(12)
    distances, values = ENCODED.rows(rows).distances_by_dimension(), TRUTH[rows] - TRUTH[rows].mean()
    theta = np.random.default_rng(1).normal(-1, 0.5, len(AXES) + 2)
    prior = gaussian_process._prior(len(AXES), gaussian_process.PRIOR_NOISE)
    given = distances, values, np.full(12, 0.01), *prior
    numeric = approx_fprime(theta, lambda at: gaussian_process._loss(at, *given)[0])
    assert gaussian_process._loss(theta, *given)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_noise_that_is_thought_little_is_not_found_in_a_few_values() -> None:
    rows, values = some(4), np.array([0.0, 1.3, 0.1, 0.4])
    noise = np.full(4, 0.1)
    believed = gaussian_process.fit(ENCODED.rows(rows), values, noise, further_noise=(math.log(1e-4), 0.2))
    doubted = gaussian_process.fit(ENCODED.rows(rows), values, noise, further_noise=(0.0, 0.2))
    best = ENCODED.rows(rows[1:2])
    assert doubted.predict(best)[0] < 1.0
    assert believed.predict(best)[0] > 1.2


def test_what_was_not_measured_is_predicted_from_what_was() -> None:
    rows = some(18)
    process = gaussian_process.fit(ENCODED.rows(rows), TRUTH[rows], np.zeros(18))
    means, deviations = process.predict(ENCODED)
    assert np.abs(means - TRUTH).mean() < 0.15 * TRUTH.std()
    assert np.abs(means - TRUTH).max() < 4 * deviations.max()
    others = np.setdiff1d(np.arange(len(POINTS)), rows)
    assert deviations[rows].max() < deviations[others].min()


def test_a_setting_that_does_nothing_comes_to_weigh_little() -> None:
    rows = some(24)
    process = gaussian_process.fit(ENCODED.rows(rows), TRUTH[rows], np.zeros(24))
    batch, backend, idle = np.exp(process.theta[:3])
    assert idle < backend / 5 and idle < batch / 2


def test_noise_that_is_known_is_not_believed() -> None:
    rows = some(20)
    values = TRUTH[rows].copy()
    values[0] += 5.0
    noise = np.full(20, 0.01)
    believed = gaussian_process.fit(ENCODED.rows(rows), values, noise).predict(ENCODED.rows(rows[:1]))[0]
    noise[0] = 5.0
    doubted = gaussian_process.fit(ENCODED.rows(rows), values, noise).predict(ENCODED.rows(rows[:1]))[0]
    assert abs(doubted[0] - TRUTH[rows[0]]) < abs(believed[0] - TRUTH[rows[0]]) / 2


def test_equal_values_and_a_single_one_are_no_trouble() -> None:
    value = np.arcsinh(1.0)  # of five and more the mean is not quite the same
    for count in (1, 5, 10):
        process = gaussian_process.fit(ENCODED.rows(some(count)), np.full(count, value), np.zeros(count))
        means, deviations = process.predict(ENCODED)
        assert means == pytest.approx(np.full(len(POINTS), value), abs=1e-3)
        assert deviations.max() > 0.05, "what was not measured may differ"


def test_of_many_points_the_best_and_some_of_the_others_are_taken() -> None:
    order = [4, 2, 0, 3, 1]
    assert gaussian_process.subset(order, 5, random.Random(0)) == [0, 1, 2, 3, 4]
    for seed in range(10):
        chosen = gaussian_process.subset(order, 4, random.Random(seed))
        assert {4, 2} < set(chosen) and chosen == sorted(chosen) and len(chosen) == 4


def test_covariances_are_those_of_the_whole_matrix() -> None:
    rows = some(18)
    process = gaussian_process.fit(ENCODED.rows(rows), TRUTH[rows], np.full(18, 0.1))
    row = process.covariances(ENCODED)
    whole = np.array([row(index) for index in range(len(ENCODED))])
    assert whole == pytest.approx(whole.T)
    assert np.sqrt(np.diag(whole)) == pytest.approx(process.predict(ENCODED)[1], abs=1e-3)
    assert np.linalg.eigvalsh(whole).min() > -1e-9
