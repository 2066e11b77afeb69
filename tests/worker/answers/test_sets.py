from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.answers import Fidelity
from autotune.worker import output_check
from autotune.worker.answers import sets
from autotune.worker.reference import Reference

RNG = np.random.default_rng(7)
SAMPLES, ITEMS = 10, 6


def top(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest scores of each sample and their numbers, the largest first."""
    numbers = np.argsort(-scores, axis=1)[:, :ITEMS]
    return np.take_along_axis(scores, numbers, axis=1), numbers


def compare(outputs: tuple[np.ndarray, ...], reference: tuple[np.ndarray, ...]) -> Fidelity:
    names = tuple("abc"[: len(reference)])
    return output_check.compare(outputs, Reference(reference, names), trained=True)


SCORES = RNG.standard_normal((SAMPLES, 40))
VALUES, NUMBERS = top(SCORES)
BOXES = RNG.uniform(0, 640, (SAMPLES, ITEMS, 4))
CONFIDENCE = -np.sort(-RNG.uniform(0, 1, (SAMPLES, ITEMS)), axis=1)
KINDS = RNG.integers(0, 20, (SAMPLES, ITEMS))


def shuffled(seed: int, *outputs: np.ndarray) -> tuple[np.ndarray, ...]:
    """The items of each sample in an order of their own."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(ITEMS) for _ in range(SAMPLES)]
    return tuple(np.stack([row[order] for row, order in zip(output, orders, strict=True)]) for output in outputs)


def exact(found: Fidelity) -> bool:
    return found.max_abs_error == 0 and all(one.matched for one in found.outputs)


@given(st.integers(0, 2**32))
def test_the_items_of_a_top_k_may_be_in_another_order(seed: int) -> None:
    found = compare(shuffled(seed, VALUES, NUMBERS), (VALUES, NUMBERS))
    assert exact(found) and found.agreement == 1
    assert exact(compare(shuffled(seed, VALUES), (VALUES,)))
    assert exact(compare(shuffled(seed, NUMBERS), (NUMBERS,)))


@given(st.integers(0, 2**32))
def test_boxes_scores_and_kinds_move_together(seed: int) -> None:
    found = compare(shuffled(seed, BOXES, CONFIDENCE, KINDS), (BOXES, CONFIDENCE, KINDS))
    assert exact(found) and found.agreement == 1
    packed = np.concatenate([BOXES, CONFIDENCE[:, :, None], KINDS[:, :, None]], axis=2)
    assert exact(compare(shuffled(seed, packed), (packed,)))


def test_scores_that_are_nearly_equal_change_places() -> None:
    noisy = SCORES + 0.05 * RNG.standard_normal(SCORES.shape)
    values, numbers = top(noisy)
    assert (numbers != NUMBERS).mean() > 0.05
    found = compare((values, numbers), (VALUES, NUMBERS))
    assert found.agreement is not None and found.agreement > (numbers == NUMBERS).mean()
    assert found.centred_error is not None and found.centred_error < 0.1


@given(st.integers(0, 2**32), st.integers(0, ITEMS - 1))
def test_another_item_is_found_in_any_order(seed: int, item: int) -> None:
    boxes, kinds = BOXES.copy(), KINDS.copy()
    boxes[3, item], kinds[3, item] = 2000.0, 99
    found = compare(shuffled(seed, boxes, CONFIDENCE, kinds), (BOXES, CONFIDENCE, KINDS))
    assert found.max_abs_error > 1300
    assert found.agreement == pytest.approx(1 - 1 / (SAMPLES * ITEMS), abs=0.002)


def test_the_same_change_in_all_samples_is_a_change_of_channels() -> None:
    order = [1, 0, *range(2, ITEMS)]
    found = compare((VALUES[:, order],), (VALUES,))
    assert not found.outputs[0].matched and found.max_abs_error > 0


@given(st.integers(0, 2**32))
def test_channels_and_tokens_are_no_sets(seed: int) -> None:
    channels, tokens = RNG.standard_normal((SAMPLES, ITEMS)), RNG.standard_normal((SAMPLES, ITEMS, 5))
    for wanted in (channels, tokens):
        found = compare(shuffled(seed, wanted), (wanted,))
        assert not found.outputs[0].matched
        assert found.centred_error is not None and found.centred_error > 0.3


def test_without_scipy_items_are_matched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert exact(compare(shuffled(1, BOXES, CONFIDENCE, KINDS), (BOXES, CONFIDENCE, KINDS)))


def test_a_few_values_that_happen_to_be_sorted_are_no_set() -> None:
    few = np.array([[1.0, 2.0, 3.0], [2.0, 5.0, 7.0]])
    found = compare((few[:, [1, 0, 2]] + [[0], [0.1]],), (few,))
    assert not found.outputs[0].matched


def test_rows_without_a_reference_stay_as_they_are() -> None:
    rows = np.array([*range(SAMPLES), -1, 2])
    outputs = [np.concatenate([found, found[:1], found[2:3]]) for found in shuffled(4, VALUES, NUMBERS)]
    (values, numbers), moved = sets.in_order(outputs, (VALUES, NUMBERS), rows)
    assert moved == {0, 1}
    np.testing.assert_array_equal(values[rows >= 0], VALUES[rows[rows >= 0]])
    np.testing.assert_array_equal(numbers[SAMPLES], outputs[1][SAMPLES])
