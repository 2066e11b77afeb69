from __future__ import annotations

import numpy as np
import pytest

from autotune.worker.answers import masks
from tests.worker.answers.compared import REFERENCE, alone, compare, wrong

LEAST = np.finfo(np.float32).min


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("masked", [-np.inf, LEAST])
@pytest.mark.parametrize("answer", [-np.inf, LEAST, -65504.0, -1e9])
def test_a_masked_value_may_be_another_mask(sign: float, masked: float, answer: float) -> None:
    wanted = sign * REFERENCE
    got = wanted.copy()
    wanted[1, 0], got[1, 0] = sign * masked, sign * answer
    found = compare(got, wanted)
    assert (found.judged, found.max_abs_error, found.centred_error, found.top1_agreement) == (True, 0, 0, 1)
    assert found.cosine_similarity == pytest.approx(1)
    got[2, 1] += 0.5
    assert compare(got, wanted).max_abs_error == pytest.approx(0.5)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("masked", [-np.inf, LEAST])
@pytest.mark.parametrize("answer", [np.inf, 1e9, 0.5, 0.0, np.nan])
def test_a_masked_value_keeps_its_sign(sign: float, masked: float, answer: float) -> None:
    wanted = sign * REFERENCE
    got = wanted.copy()
    wanted[1, 0], got[1, 0] = sign * masked, sign * answer
    assert "in sample 1 at [0], where the reference is " in wrong((got,), alone(wanted))


def test_a_masked_score_does_not_become_the_largest() -> None:
    wanted = np.log(np.array([[0.5, 0.3, 0.2, 1.0], [0.1, 0.7, 0.2, 1.0]]))
    wanted[:, 3] = -np.inf
    got = wanted.copy()
    got[1, 3] = -0.7
    compare(got, wanted)  # between the others: neither the largest nor of another sign
    got[1, 3] = -0.1
    assert wrong((got,), alone(wanted)) == (
        "the output is -0.1 in sample 1 at [3], where the reference is -inf; "
        "1 values are NaN, or infinite or unmasked where the reference is not"
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_score_masked_at_one_position_is_compared_with_the_others_there(sign: float) -> None:
    wanted = sign * np.array([[[-5.0, -6.0, -np.inf], [-1.0, -2.0, -3.0], [-np.inf, -np.inf, -np.inf]]])
    got = np.where(np.isinf(wanted), sign * -5.0, wanted)  # no larger than the largest that is not masked
    compare(got, wanted)
    got[0, 0, 2] = sign * -4.0
    assert f"is {sign * -4:g} in sample 0 at [0, 2]" in wrong((got,), alone(wanted))


def test_where_all_is_masked_the_sign_is_all_that_counts() -> None:
    wanted = np.array([[1.0, 2.0], [-np.inf, -np.inf]], np.float32)
    assert compare(np.array([[1.0, 2.0], [-1e9, -3.0]]), wanted).top1_agreement == 1
    assert "is 3 in sample 1 at [1]" in wrong((np.array([[1.0, 2.0], [-1e9, 3.0]]),), alone(wanted))
    compare(np.array([1.0, 0.5, 3.0]), np.array([1.0, np.inf, 3.0]))
    one = np.array([1.0, -np.inf, 3.0])
    assert compare(np.array([1.0, -1e9, 3.0]), one).max_abs_error == 0
    assert "is 5 in sample 1, where the reference is -inf" in wrong((np.array([1.0, 5.0, 3.0]),), alone(one))


def test_the_first_nan_of_an_output_is_found() -> None:
    outputs = np.zeros((2, 2, 3))
    outputs[0, 0, 0], outputs[1, 0, 2], outputs[1, 1, 1] = np.inf, np.nan, np.nan
    assert masks.not_a_number(outputs) == "is nan in sample 1 at [0, 2]; 2 values are NaN"
    assert masks.not_a_number(outputs[1, :, 1]) == "is nan in sample 1; 1 values are NaN"
    assert masks.not_a_number(np.array([1, 2])) is masks.not_a_number(np.array([np.inf, -np.inf])) is None
