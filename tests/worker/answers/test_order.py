from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker.answers import order
from tests.worker.answers.compared import compare

RNG = np.random.default_rng(5)
ROWS = RNG.standard_normal((12, 9))


def agreement(answers: np.ndarray, expected: np.ndarray = ROWS) -> float | None:
    return order.agreement(answers, expected, np.ones(expected.shape, bool))


@given(st.floats(0.01, 100), st.integers(0, 2**32))
def test_only_order_and_sign_count(scale: float, seed: int) -> None:
    noisy = ROWS + 0.5 * np.random.default_rng(seed).standard_normal(ROWS.shape)
    assert agreement(np.arctan(ROWS * scale)) == pytest.approx(1)
    assert agreement(np.arctan(noisy * scale)) == pytest.approx(agreement(noisy))
    assert agreement(-ROWS) == pytest.approx(-1)


def test_a_shift_changes_signs() -> None:
    shifted = agreement(ROWS + 10)
    assert shifted is not None and 0.5 < shifted < 0.99
    assert agreement(np.exp(ROWS), np.exp(ROWS)) == agreement(np.exp(ROWS) + 10, np.exp(ROWS)) == pytest.approx(1)


def test_chance_and_constants_are_in_no_order() -> None:
    wide = RNG.standard_normal((50, 200))
    assert agreement(RNG.standard_normal(wide.shape), wide) == pytest.approx(0, abs=0.05)
    assert agreement(np.zeros(wide.shape), wide) == pytest.approx(0)
    assert agreement(wide, np.ones(wide.shape)) is None


def test_what_is_far_apart_counts_more() -> None:
    row = np.array([[0.0, 0.001, 1.0, 2.0]])
    near, far = agreement(row[:, [1, 0, 2, 3]], row), agreement(row[:, [0, 1, 3, 2]], row)
    assert near is not None and far is not None and near > 0.999 and far < 0.9


def test_one_column_is_ordered_over_samples() -> None:
    column = ROWS[:, :1]
    assert agreement(column * 3, column) == pytest.approx(1)
    assert agreement(-column, column) == pytest.approx(-1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_ranks_are_scipys(values: list[int]) -> None:
    np.testing.assert_allclose(order.ranks(np.array(values, float)), scipy.stats.rankdata(values))


def test_masked_values_are_in_no_order() -> None:
    wanted = ROWS.copy()
    wanted[:, 0] = -np.inf
    assert compare(wanted, wanted).order_agreement == pytest.approx(1)
    got = np.where(np.isinf(wanted), -1e9, wanted)
    assert compare(got, wanted).order_agreement == pytest.approx(1)


# --------------------------------------------------------------------------------------------------------- neighbours

EMBEDDINGS = RNG.standard_normal((40, 32))


def test_neighbours_are_kept_by_whatever_keeps_angles() -> None:
    turned = EMBEDDINGS @ np.linalg.qr(RNG.standard_normal((32, 32)))[0] * 7
    assert order.neighbours_kept(EMBEDDINGS, EMBEDDINGS) == order.neighbours_kept(turned, EMBEDDINGS) == 1
    lost = order.neighbours_kept(EMBEDDINGS + RNG.standard_normal(EMBEDDINGS.shape), EMBEDDINGS)
    assert lost is not None and lost < 0.8


@pytest.mark.parametrize(("rows", "columns"), [(15, 32), (40, 15)])
def test_too_few_samples_or_columns_have_no_neighbours(rows: int, columns: int) -> None:
    few = EMBEDDINGS[:rows, :columns]
    assert order.neighbours_kept(few, few) is None


def test_either_of_two_equal_neighbours_is_right() -> None:
    twins = np.concatenate([EMBEDDINGS[:20], EMBEDDINGS[:20] * 2, EMBEDDINGS[:20] * 3])
    assert order.neighbours_kept(twins + 1e-9 * RNG.standard_normal(twins.shape), twins) == 1


def test_scores_of_classes_have_no_neighbours() -> None:
    assert compare(EMBEDDINGS, EMBEDDINGS, classes=False).neighbours_kept == 1
    assert compare(EMBEDDINGS, EMBEDDINGS).neighbours_kept is None
    shares = np.exp(EMBEDDINGS) / np.exp(EMBEDDINGS).sum(axis=1, keepdims=True)
    found = compare(shares, shares, classes=False)
    assert (found.neighbours_kept, found.top1_agreement) == (None, 1)


def test_samples_that_come_again_are_no_neighbours() -> None:
    rows = np.arange(80) % 40
    got = EMBEDDINGS[rows] + RNG.standard_normal((80, 32))
    found = compare(got, EMBEDDINGS, classes=False, rows=rows).neighbours_kept
    assert found == order.neighbours_kept(got[:40], EMBEDDINGS)
    few = EMBEDDINGS[np.arange(40) % 15]
    assert compare(few, few, classes=False).neighbours_kept is None
