from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core.space_types import Domains
from autotune.space import configs
from autotune.study.model import suggest
from autotune.study.model.points import DomainPoints, Parameters
from tests.study.fakes import DOMAINS, machine
from tests.study.model.test_suggest import domains

HW = machine()


@settings(deadline=None, max_examples=30)
@given(domains(), st.randoms(use_true_random=False))
def test_a_trial_and_its_point_are_one(found: Domains, rng: random.Random) -> None:
    points = DomainPoints(found, HW)
    assert len(points) == suggest.count(found)
    place = rng.randrange(len(points))
    point, config = points.at(place), suggest.nth(place, found, HW)
    assert (point is None) == (configs.unavailable(config, HW) is not None)
    if point is not None:
        asked = {name: value for name, value in point.items() if len(points.axes[name]) > 1}
        assert points.of_trial(asked) == point == suggest.parameters(config, found, HW)


def test_neighbours_differ_in_one_setting_or_in_the_backend() -> None:
    points = DomainPoints(DOMAINS, HW)
    point = points.at(0)
    assert point is not None
    found = list(points.neighbours(point, random.Random(0)))
    assert found and point not in found
    for other in found:
        differing = {name for name in point.keys() & other.keys() if point[name] != other[name]}
        assert "backend" in differing or len(differing) == 1


@pytest.mark.parametrize("asked", [{"batch_size": 999}, {"backend": "gone"}, {"allocator": "gone"}])
def test_a_trial_of_another_version_is_no_point(asked: Parameters) -> None:
    assert DomainPoints(DOMAINS, HW).of_trial(asked) is None
