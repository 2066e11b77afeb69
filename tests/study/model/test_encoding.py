from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.study.model.encoding import PointEncoder
from autotune.study.model.points import Parameters

AXES = {
    "batch_size": (1, 2, 16),
    "layout": ("1x2", "1x4", "2x2", "4x1"),
    "backend": ("a", "b"),
    "a.streams": (0, 1, 2),
    "b.fast": (False, True),
}


def distance(one: Parameters, other: Parameters, name: str | None = None) -> float:
    encoder = PointEncoder(AXES)
    weights = np.array([1.0 if name is None or axis.startswith(name) else 0.0 for axis in encoder.names])
    encoded = encoder.encode([one, other])
    found = encoded.rows([0]).distances(encoded.rows([1]), weights)
    assert found == pytest.approx(encoded.rows([1]).distances(encoded.rows([0]), weights).T)
    return float(found[0, 0])


def test_numbers_are_as_far_apart_as_their_logarithms() -> None:
    assert distance({"batch_size": 1}, {"batch_size": 2}) == pytest.approx(0.25)
    assert distance({"batch_size": 2}, {"batch_size": 16}) == pytest.approx(0.75)
    assert distance({"a.streams": 0}, {"a.streams": 1}) == pytest.approx(0.5)  # 0 counts as half of the least


def test_a_layout_is_the_cores_it_uses_and_its_workers() -> None:
    assert distance({"layout": "1x4"}, {"layout": "4x1"}) == pytest.approx(1.0)
    assert distance({"layout": "1x4"}, {"layout": "2x2"}) == pytest.approx(0.5)
    assert distance({"layout": "1x4"}, {"layout": "1x2"}) == pytest.approx(1.0)


def test_other_values_are_the_same_or_not() -> None:
    assert distance({"backend": "a"}, {"backend": "b"}) == pytest.approx(1.0)
    assert distance({"b.fast": False}, {"b.fast": True}) == pytest.approx(1.0)
    assert distance({"b.fast": True}, {"b.fast": True}) == 0.0


def test_what_one_lacks_is_half_a_step_away() -> None:
    one: Parameters = {"backend": "a", "a.streams": 2, "batch_size": 1}
    other: Parameters = {"backend": "b", "b.fast": True, "batch_size": 1}
    assert distance(one, other, "backend") == 1.0
    assert distance(one, other, "a.") == distance(one, other, "b.") == 0.5
    assert distance({**one, "a.streams": 1}, other, "a.") == 0.0  # the middle
    assert distance(one, {"backend": "unknown", "batch_size": 1}) == pytest.approx(1.0)


@given(st.lists(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in AXES.items()}), min_size=2))
def test_distances_add_up_over_the_settings(points: list[Parameters]) -> None:
    encoder = PointEncoder(AXES)
    encoded = encoder.encode(points)
    weights = np.arange(1.0, len(encoder.names) + 1)
    whole = encoded.distances(encoded, weights)
    assert whole == pytest.approx(np.tensordot(weights, encoded.distances_by_dimension(), axes=1))
    assert np.diag(whole) == pytest.approx(np.zeros(len(points)))
    assert np.linalg.eigvalsh(np.exp(-whole / 3)).min() > -1e-9, "a kernel of the distances is no covariance"
