from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.answers import OutputFidelity
from tests.worker.answers.compared import compare

RNG = np.random.default_rng(3)
SCORES = RNG.standard_normal((16, 24)) + np.arange(24) / 8
BOXES = np.concatenate([RNG.uniform(0, 640, (8, 4, 50)), RNG.beta(0.1, 1.0, (8, 20, 50))], axis=1)
"""Boxes in pixels beside scores, as exported detectors return them."""


def judged(got: np.ndarray, wanted: np.ndarray) -> OutputFidelity:
    return compare(got, wanted, classes=False).outputs[0]


def test_scores_that_died_beside_large_boxes_are_found() -> None:
    got = BOXES.copy()
    got[:, 4:] = 0
    found = judged(got, BOXES)
    assert found.centred_error is not None and found.centred_error < 1e-4
    assert found.worst_channel_error is not None and found.worst_channel_error >= 1
    assert found.part is not None and found.part.still
    assert found.part.name in [f"channel {index} of the output no longer varies" for index in range(4, 24)]


@given(st.integers(0, 23), st.integers(3, 16), st.sampled_from([-2.0, 0.0, 7.0]))
def test_a_dead_column_is_found_in_few_samples(column: int, samples: int, value: float) -> None:
    got = SCORES[:samples].copy()
    got[:, column] = value
    found = judged(got, SCORES[:samples])
    assert found.worst_channel_error is not None and found.worst_channel_error >= 1
    assert found.part is not None and found.part.name == f"channel {column} of the output no longer varies"


@given(st.integers(0, 22), st.sampled_from([8, 16]))
def test_two_channels_that_changed_places_are_found(column: int, samples: int) -> None:
    got = SCORES[:samples].copy()
    got[:, [column, column + 1]] = got[:, [column + 1, column]]
    found = judged(got, SCORES[:samples])
    assert found.worst_channel_error is not None and found.worst_channel_error > 0.7


@given(st.integers(0, 15))
def test_a_wrong_sample_is_named(row: int) -> None:
    got = SCORES.copy()
    got[row] = SCORES[row - 1]
    found = judged(got, SCORES)
    assert found.worst_sample_error is not None and found.worst_sample_error > 1
    assert found.part is not None and found.part.name == f"sample {row} of the output"


@given(st.floats(1e-6, 1e6), st.integers(0, 23), st.integers(0, 2**32))
def test_a_channels_unit_does_not_matter(scale: float, channel: int, seed: int) -> None:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(SCORES.shape)
    units = np.full(24, 10.0)
    units[channel] *= min(max(scale, 0.1), 10.0)
    plain, scaled = judged(SCORES + noise, SCORES), judged((SCORES + noise) * units, SCORES * units)
    assert scaled.worst_channel_error == pytest.approx(plain.worst_channel_error)


@given(st.permutations(range(24)), st.integers(0, 2**32))
def test_the_order_of_channels_does_not_matter(order: list[int], seed: int) -> None:
    got = SCORES + 0.3 * np.random.default_rng(seed).standard_normal(SCORES.shape)
    plain, moved = judged(got, SCORES), judged(got[:, order], SCORES[:, order])
    assert moved.worst_channel_error == pytest.approx(plain.worst_channel_error)
    assert moved.worst_sample_error == pytest.approx(plain.worst_sample_error)


def test_the_last_dimension_has_parts_too() -> None:
    hidden = RNG.standard_normal((8, 12, 6))
    got = hidden.copy()
    got[:, :, 5] = 1.0
    found = judged(got, hidden)
    assert found.part is not None and found.part.name == "place 5 in the last dimension of the output no longer varies"


def test_ordinary_errors_of_many_channels_are_no_dead_channel() -> None:
    wanted = RNG.standard_normal((8, 1000))
    found = judged(wanted + 0.17 * RNG.standard_normal(wanted.shape), wanted)
    assert found.centred_error is not None and 0.02 < found.centred_error < 0.04
    assert found.worst_channel_error is not None and found.worst_channel_error < 0.3


def test_what_nobody_looks_at_is_no_part() -> None:
    shares = np.concatenate([RNG.uniform(0, 1, (8, 3)), RNG.uniform(0, 1e-4, (8, 3))], axis=1)
    got = shares.copy()
    got[:, 3:] = 0  # classes that no sample has
    found = judged(got, shares)
    assert found.worst_channel_error is not None and found.worst_channel_error < 0.01
    hidden = RNG.standard_normal((8, 6)) * ([1.0] * 5 + [1e-5])
    hidden[:, 5] += 1e-3
    got = hidden.copy()
    got[:, 5] = 0
    assert judged(got, hidden).worst_channel_error == 0


def test_a_channel_that_never_varies_is_no_part() -> None:
    wanted = np.concatenate([SCORES, np.full((16, 1), 3.0)], axis=1)
    assert judged(wanted, wanted).worst_channel_error == 0
    still = np.full((8, 3), 2.0)
    found = judged(still, still)
    assert (found.worst_channel_error, found.worst_sample_error, found.part) == (None, None, None)


def test_masked_places_do_not_hide_a_dead_channel() -> None:
    wanted = SCORES.copy()
    wanted[::3, 5] = -np.inf
    got = wanted.copy()
    got[:, 5] = np.where(np.isinf(wanted[:, 5]), -np.inf, wanted[np.isfinite(wanted[:, 5]), 5].mean())
    found = judged(got, wanted)
    assert found.part is not None and found.part.name == "channel 5 of the output no longer varies"
    assert judged(wanted, wanted).worst_channel_error == 0


@pytest.mark.parametrize("shape", [(16,), (16, 1)])
def test_a_lone_number_a_sample_is_a_channel(shape: tuple[int, ...]) -> None:
    wanted = SCORES[:, 0].reshape(shape)
    found = judged(np.full(shape, 0.5), wanted)
    assert found.part is not None and found.part.name == "the output no longer varies"
    assert judged(wanted, wanted).part is not None


@pytest.mark.parametrize("axis", [1, 2])
def test_scores_that_changed_places_beside_large_boxes_are_found(axis: int) -> None:
    """Whether channels are in the second dimension, or in the last one."""
    wanted = BOXES if axis == 1 else BOXES.transpose(0, 2, 1)
    got = BOXES.copy()
    got[:, 4:] = RNG.permuted(got[:, 4:], axis=2)
    found = judged(got if axis == 1 else got.transpose(0, 2, 1), wanted)
    assert found.centred_error is not None and found.centred_error < 1e-4
    assert found.worst_channel_error is not None and found.worst_channel_error > 0.5
    weak = BOXES.copy()
    weak[:, 4:] *= 0.15
    found = judged(weak if axis == 1 else weak.transpose(0, 2, 1), wanted)
    assert found.worst_channel_error is not None and found.worst_channel_error > 0.5


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize(("low", "high"), [(-0.02, 1.0), (0.0, 0.2)])
def test_quiet_scores_that_all_died_are_found(axis: int, low: float, high: float) -> None:
    wanted = BOXES.copy()
    wanted[:, :4] *= 2
    wanted[:, 4:] = low + (high - low) * wanted[:, 4:]
    got = wanted.copy()
    got[:, 4:] = 0
    if axis == 2:
        got, wanted = got.transpose(0, 2, 1), wanted.transpose(0, 2, 1)
    found = judged(got, wanted)
    assert found.worst_channel_error is not None and found.worst_channel_error >= 1
    assert found.part is not None and found.part.still


def test_one_quiet_class_of_many_may_die() -> None:
    shares = RNG.dirichlet(np.array([1.0, 1.0, 1.0, 0.02, 0.02]), 64)
    shares[:, 3:] *= 0.1
    got = shares.copy()
    got[:, 4] = 0
    assert (part := judged(got, shares).part) is None or not part.still
