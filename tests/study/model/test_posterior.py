from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from autotune.core.config import Config
from autotune.core.results import TrialResult
from autotune.space import configs
from autotune.study.model import gaussian_process
from autotune.study.model import posterior as posteriors
from autotune.study.model.encoding import EncodedPoints
from autotune.study.model.posterior import LAUNCHES, TRIAL_NOISE, Posterior, trial_variance
from autotune.study.ranking import Ranking
from tests.fake_executor import speed
from tests.report.made import result
from tests.study.fakes import machine, plain, resolved
from tests.study.model.posteriors import independent

HW = machine()
SPACE = resolved(HW)
PLAIN = plain(HW)


def config(batch_size: int, backend: str, allocator: str, layout: str = "1x2") -> Config:
    knobs = {"allocator": allocator, "layout": layout}
    return configs.configure(HW, batch_size=batch_size, backend=backend, options={}, knobs=knobs)


EVERY = [
    config(*values)
    for values in itertools.product(
        (1, 4, 16), ("torch_eager", "onnxruntime"), ("system", "tcmalloc", "jemalloc"), ("1x2", "2x1")
    )
]


def trials(truth: Mapping[Config, float], seed: int = 0, launch: float = 0.06, block: float = 0.05) -> Ranking:
    """Windows of six blocks; a launch, and each block, deviates by so much."""
    draw = np.random.default_rng(seed)
    found = []
    for number, (one, rate) in enumerate(truth.items()):
        logs = math.log(rate) + draw.normal(0, launch) + draw.normal(0, block, 6)
        found.append(result(number, one, rates=[math.exp(log) for log in logs]))
    return Ranking(found, SPACE.goal)


def known(ranking: Ranking) -> Posterior:
    found = posteriors.posterior(ranking, SPACE.domains, HW)
    assert found is not None
    return found


def test_the_best_of_equal_configurations_is_not_flattered() -> None:
    """The luckiest of 36 windows of one rate seems 12 % faster than that; together they say that it is not."""
    windows, means = [], []
    for seed in range(5):
        ranking = trials(dict.fromkeys(EVERY, 10.0), seed)
        best = ranking.order()[0]
        windows.append(ranking.rate(best) / 10)
        means.append(math.exp(known(ranking).mean(best.spec.config)) / 10)
    assert np.mean(windows) > 1.09
    assert abs(np.mean(means) - 1) < 0.03


@pytest.mark.parametrize("truth", [dict.fromkeys(EVERY, 10.0), {one: speed(one) for one in EVERY}])
def test_its_intervals_hold_the_truth(truth: dict[Config, float]) -> None:
    held = []
    for seed in range(5):
        found = known(trials(truth, seed))
        for one in EVERY:
            for estimate, true in (
                (found.score(one, 0.95), truth[one]),
                (found.ratio(one, EVERY[0], 0.95), truth[one] / truth[EVERY[0]]),
            ):
                assert estimate.low is not None and estimate.high is not None
                held.append(estimate.low <= true <= estimate.high)
    assert np.mean(held) >= 0.9


def test_what_is_wanted_the_least_of_is_estimated_as_it_is() -> None:
    found = known(trials({one: speed(one) for one in EVERY}, launch=0.0, block=0.001))
    fast = config(16, "onnxruntime", "tcmalloc")
    assert found.score(fast, 0.95).estimate == pytest.approx(speed(fast), rel=0.05)
    assert found.ratio(fast, PLAIN, 0.95).estimate == pytest.approx(speed(fast) / speed(PLAIN), rel=0.1)
    same = found.ratio(fast, fast, 0.95)
    assert (same.estimate, same.low, same.high) == (1.0, 1.0, 1.0)
    assert found.chance_to_differ(fast, fast, 0.03) == 0.0
    assert found.chance_to_differ(fast, PLAIN, 0.03) == pytest.approx(1.0, abs=0.01)


def test_a_baseline_outside_the_space_is_known_by_its_own_window() -> None:
    outside = plain(HW, 3)
    ranking = trials({outside: 5.0} | {one: speed(one) for one in EVERY})
    found = known(ranking)
    base = next(one for one in ranking.results if one.spec.config == outside)
    assert math.exp(found.mean(outside)) == pytest.approx(ranking.rate(base))
    place = found.places[outside.key]
    assert found.variances[place] == pytest.approx(ranking.noise(base) ** 2 + trial_variance(ranking))
    assert not found.covariances(place).any() and found.covariances(place - 1)[place] == 0
    assert found.chance_to_differ(outside, EVERY[-1], 0.03) > 0.99


def test_of_many_trials_the_best_and_some_others_are_seen_together_and_each_with_its_own_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    fit = gaussian_process.fit

    def counted(points: EncodedPoints, *given: Any, **more: Any) -> gaussian_process.Process:
        sizes.append(len(points))
        return fit(points, *given, **more)

    monkeypatch.setattr(gaussian_process, "FITTED", 12)
    monkeypatch.setattr(gaussian_process, "KEPT", 18)
    monkeypatch.setattr(gaussian_process, "fit", counted)
    truth = np.array([math.log(speed(one)) for one in EVERY])
    held, errors, of_windows = [], [], []
    for seed in range(5):
        ranking = trials({one: speed(one) for one in EVERY}, seed)
        found = known(ranking)
        half = 1.96 * np.sqrt(found.variances)
        held += list(np.abs(found.means - truth) < half)
        errors += list(np.abs(found.means - truth))
        of_windows += list(np.abs([math.log(ranking.rate(one)) for one in ranking.results] - truth))
        assert list(found.places) == [one.key for one in EVERY]
        assert np.linalg.eigvalsh(matrix(found)).min() > -1e-9
    assert sizes == [12, 18] * 5
    assert np.mean(held) >= 0.9 and np.mean(errors) < 0.9 * np.mean(of_windows)


def matrix(found: Posterior) -> Any:
    """The whole covariance matrix."""
    whole = np.array([found.covariances(place) for place in range(len(found.places))])
    np.fill_diagonal(whole, found.variances)
    return whole


def test_the_variance_between_trials_is_the_recorded_one_until_their_blocks_tell_another() -> None:
    assert trial_variance(Ranking([result(1, EVERY[0], rates=(5.0,))], SPACE.goal)) == TRIAL_NOISE.value
    quiet, noisy = (trials({one: speed(one) for one in EVERY}, block=block) for block in (0.01, 0.3))
    assert trial_variance(quiet) == LAUNCHES and 0.25**2 < trial_variance(noisy) < 0.33**2


# ---------------------------------------------------------------------------------------------------------------- kinds


def given(means: Mapping[Config, float], deviation: float = 0.001) -> tuple[list[TrialResult], Posterior]:
    """Trials of which so much is known, each for itself."""
    results = [result(number, one, rates=(10, 10)) for number, one in enumerate(means)]
    return results, independent({one.key: mean for one, mean in means.items()}, deviation)


A, B, C = (
    config(1, "onnxruntime", "tcmalloc", "2x1"),
    config(1, "onnxruntime", "tcmalloc"),
    config(4, "torch_eager", "system"),
)


def test_a_kind_is_held_against_its_best_one() -> None:
    """The simplest is within 3 % of the best; the next is so of the simplest, but not of the best."""
    results, found = given({A: 1.0, B: 0.98, C: 0.96})
    assert [one.spec.config for one in posteriors.kinds(results, found, PLAIN, 5)] == [B, C]


def test_the_simplest_of_a_kind_may_come_after_all_kinds_are_found() -> None:
    results, found = given({A: 1.0, C: 0.985, B: 0.98})
    assert [one.spec.config for one in posteriors.kinds(results, found, PLAIN, 1)] == [C]
    results, found = given({A: 1.0, PLAIN: 0.5, B: 0.98})
    assert [one.spec.config for one in posteriors.kinds(results, found, PLAIN, 1)] == [B]


def test_variants_of_a_setting_without_effect_are_one_kind_the_simplest() -> None:
    """Of A and B it is hardly known how fast they are, and yet that they are alike; of A and C it is not."""
    results, found = given({A: 1.0, B: 0.99, C: 0.98}, deviation=0.1)
    assert [one.spec.config for one in posteriors.kinds(results, found, PLAIN, 5)] == [A, B, C]
    covariances = np.diag(found.variances) + 0.0099 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    alike = dataclasses.replace(found, covariances=covariances.__getitem__)
    assert [one.spec.config for one in posteriors.kinds(results, alike, PLAIN, 5)] == [B, C]
