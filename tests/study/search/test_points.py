from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core.space_types import Domains
from autotune.space import configs
from autotune.study.search import suggest
from autotune.study.search.points import Encoding, OfDomains, Parameters
from tests.study.fakes import DOMAINS, machine
from tests.study.search.test_suggest import domains

HW = machine()


@settings(deadline=None, max_examples=30)
@given(domains(), st.randoms(use_true_random=False))
def test_a_trial_and_its_point_are_one(found: Domains, rng: random.Random) -> None:
    points = OfDomains(found, HW)
    assert len(points) == suggest.count(found)
    place = rng.randrange(len(points))
    point, config = points.at(place), suggest.nth(place, found, HW)
    assert (point is None) == (configs.unavailable(config, HW) is not None)
    if point is not None:
        asked = {name: value for name, value in point.items() if len(points.axes[name]) > 1}
        assert points.whole(asked) == point == suggest.parameters(config, found, HW)


def test_neighbours_differ_in_one_setting_or_in_the_backend() -> None:
    points = OfDomains(DOMAINS, HW)
    point = points.at(0)
    assert point is not None
    found = list(points.near(point, random.Random(0)))
    assert found and point not in found
    for other in found:
        differing = {name for name in point.keys() & other.keys() if point[name] != other[name]}
        assert "backend" in differing or len(differing) == 1


@pytest.mark.parametrize("asked", [{"batch_size": 999}, {"backend": "gone"}, {"allocator": "gone"}])
def test_a_trial_of_another_version_is_no_point(asked: Parameters) -> None:
    assert OfDomains(DOMAINS, HW).whole(asked) is None


AXES = {
    "batch_size": (1, 2, 16),
    "layout": ("1x2", "1x4", "2x2", "4x1"),
    "backend": ("a", "b"),
    "a.streams": (0, 1, 2),
    "b.fast": (False, True),
}


def apart(one: Parameters, other: Parameters, name: str | None = None) -> float:
    encoding = Encoding(AXES)
    weights = np.array([1.0 if name is None or axis.startswith(name) else 0.0 for axis in encoding.names])
    encoded = encoding.encode([one, other])
    found = encoded.rows([0]).apart(encoded.rows([1]), weights)
    assert found == pytest.approx(encoded.rows([1]).apart(encoded.rows([0]), weights).T)
    return float(found[0, 0])


def test_numbers_are_as_far_apart_as_their_logarithms() -> None:
    assert apart({"batch_size": 1}, {"batch_size": 2}) == pytest.approx(0.25)
    assert apart({"batch_size": 2}, {"batch_size": 16}) == pytest.approx(0.75)
    assert apart({"a.streams": 0}, {"a.streams": 1}) == pytest.approx(0.5)  # 0 counts as half of the least


def test_a_layout_is_the_cores_it_uses_and_its_workers() -> None:
    assert apart({"layout": "1x4"}, {"layout": "4x1"}) == pytest.approx(1.0)
    assert apart({"layout": "1x4"}, {"layout": "2x2"}) == pytest.approx(0.5)
    assert apart({"layout": "1x4"}, {"layout": "1x2"}) == pytest.approx(1.0)


def test_other_values_are_the_same_or_not() -> None:
    assert apart({"backend": "a"}, {"backend": "b"}) == pytest.approx(1.0)
    assert apart({"b.fast": False}, {"b.fast": True}) == pytest.approx(1.0)
    assert apart({"b.fast": True}, {"b.fast": True}) == 0.0


def test_what_one_lacks_is_half_a_step_away() -> None:
    one: Parameters = {"backend": "a", "a.streams": 2, "batch_size": 1}
    other: Parameters = {"backend": "b", "b.fast": True, "batch_size": 1}
    assert apart(one, other, "backend") == 1.0
    assert apart(one, other, "a.") == apart(one, other, "b.") == 0.5
    assert apart({**one, "a.streams": 1}, other, "a.") == 0.0  # the middle
    assert apart(one, {"backend": "unknown", "batch_size": 1}) == pytest.approx(1.0)


@given(st.lists(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in AXES.items()}), min_size=2))
def test_distances_add_up_over_the_settings(points: list[Parameters]) -> None:
    encoding = Encoding(AXES)
    encoded = encoding.encode(points)
    weights = np.arange(1.0, len(encoding.names) + 1)
    whole = encoded.apart(encoded, weights)
    assert whole == pytest.approx(np.tensordot(weights, encoded.each(), axes=1))
    assert np.diag(whole) == pytest.approx(np.zeros(len(points)))
    assert np.linalg.eigvalsh(np.exp(-whole / 3)).min() > -1e-9, "a kernel of the distances is no covariance"
