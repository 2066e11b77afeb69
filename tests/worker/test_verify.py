from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune import space
from autotune.knobs import layout
from autotune.results import Status
from autotune.worker import verify
from autotune.worker.verify import CheckFailed
from tests.study import fakes

REFERENCE = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, -2.0], [0.5, 0.0, 4.0], [-1.0, 2.5, 2.0]], dtype=np.float32)


def compare(got: np.ndarray, wanted: np.ndarray = REFERENCE, judged: bool = True):
    return verify.compare((got,), (wanted,), judged)


def wrong(outputs: verify.Arrays, reference: verify.Arrays = (REFERENCE,)) -> str:
    with pytest.raises(CheckFailed) as caught:
        verify.compare(outputs, reference, True)
    assert caught.value.status is Status.WRONG_OUTPUT
    return str(caught.value)


# -------------------------------------------------------------------------------------------------------- closeness


def test_the_same_outputs() -> None:
    found = compare(REFERENCE)
    assert (found.judged, found.samples) == (True, 4)
    assert found.cosine_similarity == pytest.approx(1)
    assert (found.centred_error, found.max_abs_error) == (0, 0)


def test_the_worst_sample_decides() -> None:
    got = REFERENCE.copy()
    got[2] *= -1
    assert compare(got).cosine_similarity == pytest.approx(-1)


def test_the_greatest_error_is_found() -> None:
    got = REFERENCE.copy()
    got[3, 1] -= 0.25
    assert compare(got).max_abs_error == pytest.approx(0.25)


def test_answering_the_mean_is_an_error_of_one() -> None:
    got = np.broadcast_to(REFERENCE.mean(axis=0), REFERENCE.shape)
    assert compare(got).centred_error == pytest.approx(1)


def test_the_centred_error_sees_what_the_cosine_does_not() -> None:
    # outputs that hardly depend on the input: a large common part, a small difference between samples
    wanted = REFERENCE + np.float32(1000)
    blind = np.broadcast_to(wanted.mean(axis=0), wanted.shape)
    found = compare(blind, wanted)
    assert found.cosine_similarity > 0.99999
    assert found.centred_error == pytest.approx(1, rel=1e-3)


@given(st.floats(0.01, 100), st.floats(0.001, 0.5), st.integers(0, 2**32))
def test_the_centred_error_has_no_unit(scale: float, noise: float, seed: int) -> None:
    got = REFERENCE + noise * np.random.default_rng(seed).standard_normal(REFERENCE.shape)
    plain, scaled = compare(got), compare(got * scale, REFERENCE * np.float64(scale))
    assert scaled.centred_error == pytest.approx(plain.centred_error, rel=1e-6)
    assert scaled.cosine_similarity == pytest.approx(plain.cosine_similarity)


def test_several_outputs_count_together() -> None:
    labels = np.arange(4)
    found = verify.compare((REFERENCE, labels + 2), (REFERENCE, labels), True)
    assert found.max_abs_error == 2
    assert found.samples == 4


def test_deep_outputs_are_rows() -> None:
    wanted = REFERENCE.reshape(2, 2, 3)
    assert compare(wanted + 1, wanted).samples == 2


# ------------------------------------------------------------------------------------------------------------ judged


def test_random_weights_are_not_judged() -> None:
    assert not compare(REFERENCE, judged=False).judged


def test_outputs_that_do_not_vary_cannot_be_judged() -> None:
    same = np.ones((4, 3), np.float32)
    found = compare(same, same)
    assert (found.judged, found.centred_error) == (False, None)


def test_outputs_of_zeros_are_compared() -> None:
    zeros = np.zeros((4, 3), np.float32)
    assert compare(zeros, zeros).cosine_similarity == 1


# ----------------------------------------------------------------------------------------------------- wrong outputs


def test_another_number_of_outputs() -> None:
    assert wrong((REFERENCE, REFERENCE)) == "2 outputs; the reference has 1"


def test_another_shape() -> None:
    assert wrong((REFERENCE[:, :2],)) == "output 0 has shape (4, 2), the reference (4, 3)"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(value: float) -> None:
    got = REFERENCE.copy()
    got[0, 1] = got[3, 2] = value
    assert wrong((REFERENCE, got), (REFERENCE, REFERENCE)) == "output 1 has 2 values that are NaN or Inf"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("answer", ["same", "finite"])
def test_what_is_no_number_in_the_reference_is_left_out(value: float, answer: str) -> None:
    wanted, got = REFERENCE.copy(), REFERENCE.copy()
    wanted[1, 0] = value
    if answer == "same":
        got[1, 0] = value
    found = compare(got, wanted)
    assert (found.judged, found.max_abs_error, found.centred_error) == (True, 0, 0)
    assert found.cosine_similarity == pytest.approx(1)
    got[2, 1] += 0.5
    assert compare(got, wanted).max_abs_error == pytest.approx(0.5)


# ------------------------------------------------------------------------------------------------------------ applied


def test_a_knob_that_is_not_in_effect_is_named() -> None:
    hw = fakes.machine()
    config = space.configure(hw, batch_size=1, backend="torch_eager", options={}, knobs={"allocator": "tcmalloc"})
    with pytest.raises(CheckFailed, match=r"^allocator: .*libtcmalloc\.so is not mapped") as caught:
        # the layout comes later by name, so this process may have any
        verify.applied(None, config, hw, tuple(layout.reach()))  # type: ignore[arg-type]
    assert caught.value.status is Status.NOT_APPLIED
