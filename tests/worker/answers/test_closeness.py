from __future__ import annotations

import numpy as np
import pytest

from autotune.worker.answers import closeness
from tests.worker.answers.compared import compare

RNG = np.random.default_rng(11)


def test_whole_numbers_agree_or_not() -> None:
    wanted = RNG.integers(0, 1000, (8, 5))
    got = wanted.copy()
    got[2, :2] += 1
    found = compare(got, wanted)
    assert found.judged
    assert (found.agreement, found.centred_error) == (pytest.approx(1 - 2 / 40, abs=0.001), None)
    assert found.part is not None and found.part.name == "sample 2 of the output"
    assert found.part.error == pytest.approx(0.4)


def test_truths_agree_or_not() -> None:
    wanted = RNG.random((8, 6, 6)) < 0.3
    assert compare(wanted, wanted).agreement == 1
    inverted = compare(~wanted, wanted).agreement
    assert inverted is not None and inverted < 0


def test_numbers_that_no_longer_vary_are_found_though_most_agree() -> None:
    wanted = np.zeros((16, 50), int)
    wanted[3, 4] = wanted[9, 1] = 7
    found = compare(np.zeros_like(wanted), wanted)
    assert found.agreement is not None and found.agreement < 0.6  # 99.75 % are equal, and 99.5 % by chance
    assert found.worst_channel_error == 1
    assert found.part is not None and found.part.name == "the output no longer varies"


def test_numbers_that_are_the_same_for_all_inputs_may_stay_so() -> None:
    found = compare(np.full((8, 3), 4), np.full((8, 3), 4))
    assert (found.agreement, found.worst_channel_error) == (1, None)


def test_the_bytes_of_a_picture_are_near_or_not() -> None:
    wanted = RNG.integers(0, 255, (4, 3, 16, 16)).astype(np.uint8)
    found = compare(wanted + np.uint8(1), wanted)
    assert (found.agreement, found.max_abs_error) == (None, 1)
    assert found.centred_error is not None and found.centred_error < 0.001


@pytest.mark.parametrize("axis", [1, 3])
def test_shares_of_classes_say_which_is_the_answer(axis: int) -> None:
    scores = np.exp(3 * RNG.standard_normal((8, 4, 5, 6)))
    shares = scores / scores.sum(axis=axis, keepdims=True)
    assert compare(shares, shares, classes=False).top1_agreement == 1
    blurred = (shares + 1 / shares.shape[axis]) / 2
    assert compare(blurred, shares, classes=False).top1_agreement == 1
    moved = compare(np.roll(shares, 1, axis=axis), shares, classes=False)
    assert moved.top1_agreement is not None and moved.top1_agreement < 0.3


@pytest.mark.parametrize("changed", [0, 5, 18, 100])
def test_agreement_is_what_is_beyond_chance(changed: int) -> None:
    wanted = RNG.integers(0, 10, (100, 1))
    got = wanted.copy()
    got[:changed] = RNG.integers(0, 10, (changed, 1))
    found = compare(got, wanted).agreement
    assert found == pytest.approx(1 - changed / 100, abs=0.12)


def test_one_mask_of_many_that_is_wrong_counts_where_masks_are_small() -> None:
    wanted = RNG.random((32, 40, 40)) < 0.01
    got = wanted.copy()
    got[5] = ~got[5]
    found = compare(got, wanted).agreement
    assert found is not None and found < 0


def test_complex_numbers_have_two_parts() -> None:
    wanted = RNG.standard_normal((16, 8)) + 1j * RNG.standard_normal((16, 8))
    assert compare(wanted, wanted, classes=False).centred_error == 0
    found = compare(wanted.real + 0j, wanted, classes=False)
    assert found.centred_error == pytest.approx(0.5, abs=0.1)
    assert found.part is not None and found.part.still


def test_of_large_rows_a_part_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closeness, "MOST_VALUES", 60)
    wanted = RNG.standard_normal((8, 4, 50))
    assert compare(wanted, wanted, classes=False).centred_error == 0
    got = wanted.copy()
    got[:, 3] = 0
    found = compare(got, wanted, classes=False)
    assert found.part is not None and found.part.name == "channel 3 of the output no longer varies"
