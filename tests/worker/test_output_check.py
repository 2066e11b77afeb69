from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.results import Status
from autotune.worker import output_check
from autotune.worker.batches import Arrays
from autotune.worker.check_failed import CheckFailed
from autotune.worker.reference import Reference

REFERENCE = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, -2.0], [0.5, 0.0, 4.0], [-1.0, 2.5, 2.0]], dtype=np.float32)


def alone(wanted: np.ndarray) -> Reference:
    return Reference((wanted,), ("output",), classes=True)


def compare(got: np.ndarray, wanted: np.ndarray = REFERENCE, **more: Any):
    return output_check.compare((got,), alone(wanted), **{"trained": True} | more)


def wrong(outputs: Arrays, reference: Reference | None = None) -> str:
    with pytest.raises(CheckFailed) as caught:
        output_check.compare(outputs, reference or alone(REFERENCE), trained=True)
    assert caught.value.status is Status.WRONG_OUTPUT
    return str(caught.value)


# -------------------------------------------------------------------------------------------------------- closeness


def test_the_same_outputs() -> None:
    found = compare(REFERENCE)
    assert (found.judged, found.reason, found.samples) == (True, None, 4)
    assert found.cosine_similarity == pytest.approx(1)
    assert (found.centred_error, found.max_abs_error, found.max_rel_error, found.top1_agreement) == (0, 0, 0, 1)


def test_no_outputs_are_closer_than_equal_ones() -> None:
    row = np.random.default_rng(12).standard_normal((1, 3))  # its cosine with itself is rounded to more than 1
    assert compare(row, np.concatenate([row, row + 1]), rows=np.array([0])).cosine_similarity == 1


def test_the_worst_sample_decides() -> None:
    got = REFERENCE.copy()
    got[2] *= -1
    assert compare(got).cosine_similarity == pytest.approx(-1)


def test_a_row_of_zeros_is_like_no_other() -> None:
    got = REFERENCE.copy()
    got[1] = 0
    assert compare(got).cosine_similarity == 0
    assert compare(np.zeros((4, 3)), np.zeros((4, 3))).cosine_similarity == 1


def test_the_greatest_error_is_found() -> None:
    got = REFERENCE.copy()
    got[3, 1] -= 0.25
    found = compare(got)
    assert found.max_abs_error == pytest.approx(0.25)
    assert found.max_rel_error == pytest.approx(0.25 / 4)  # 4 is the largest value


def test_answering_the_mean_is_an_error_of_one() -> None:
    got = np.broadcast_to(REFERENCE.mean(axis=0), REFERENCE.shape)
    assert compare(got).centred_error == pytest.approx(1)


def test_the_centred_error_sees_what_the_cosine_does_not() -> None:
    # outputs that hardly depend on the input: a large common part, a small difference between samples
    wanted = REFERENCE + np.float32(1e5)
    blind = np.broadcast_to(wanted.mean(axis=0), wanted.shape)
    found = compare(blind, wanted)
    assert found.cosine_similarity > 0.99999
    assert found.centred_error == pytest.approx(1, rel=1e-3)


@given(st.sampled_from([1e-9, 0.01, 100.0]), st.floats(0.001, 0.5), st.integers(0, 2**32))
def test_the_figures_have_no_unit(scale: float, noise: float, seed: int) -> None:
    got = REFERENCE + noise * np.random.default_rng(seed).standard_normal(REFERENCE.shape)
    plain, scaled = compare(got), compare(got * scale, REFERENCE * np.float64(scale))
    assert scaled.centred_error == pytest.approx(plain.centred_error, rel=1e-6)
    assert scaled.cosine_similarity == pytest.approx(plain.cosine_similarity)
    assert scaled.max_rel_error == pytest.approx(plain.max_rel_error)
    assert scaled.top1_agreement == plain.top1_agreement


@given(st.integers(1, 4), st.integers(0, 2**32))
def test_the_figures_are_those_of_the_formulas(samples: int, seed: int) -> None:
    got = REFERENCE + np.random.default_rng(seed).standard_normal(REFERENCE.shape)
    found = compare(got[:samples], rows=np.arange(samples))
    error = (got - REFERENCE)[:samples].astype(np.float64)
    spread = REFERENCE.astype(np.float64) - REFERENCE.astype(np.float64).mean(axis=0)
    assert found.centred_error == pytest.approx((error**2).sum(1).mean() / (spread**2).sum(1).mean())
    assert found.top1_agreement == np.mean(got[:samples].argmax(1) == REFERENCE[:samples].argmax(1))
    dots = [g @ w / np.linalg.norm(g) / np.linalg.norm(w) for g, w in zip(got, REFERENCE, strict=True)]
    assert found.cosine_similarity == pytest.approx(min(dots[:samples]))
    assert found.samples == samples


def test_fewer_samples_are_compared_with_the_variation_of_all() -> None:
    got = REFERENCE[:1] + np.float32(0.5)
    spread = ((REFERENCE - REFERENCE.mean(axis=0)) ** 2).sum() / 4
    assert compare(got, rows=np.array([0])).centred_error == pytest.approx(3 * 0.25 / spread)


def test_rows_without_a_reference_are_not_compared() -> None:
    got = np.concatenate([REFERENCE[:3], np.full((2, 3), np.nan), REFERENCE[[1, 0]]])
    found = compare(got, rows=np.array([0, 1, 2, -1, -1, 1, 0]))
    assert (found.samples, found.max_abs_error, found.centred_error, found.top1_agreement) == (5, 0, 0, 1)


def test_the_worst_output_decides_each_figure() -> None:
    labels = np.arange(4)
    got = REFERENCE.copy()
    got[0, 0] += 10
    reference = Reference((REFERENCE, labels), ("logits", "label"), classes=True)
    found = output_check.compare((got, labels + 1), reference, trained=True)
    logits, label = found.outputs
    assert (logits.name, label.name) == ("logits", "label")
    assert (label.max_abs_error, label.top1_agreement) == (1, None)
    assert found.max_abs_error == logits.max_abs_error == 10
    assert found.centred_error == max(logits.centred_error, label.centred_error)
    assert found.top1_agreement == logits.top1_agreement == 0.75
    assert found.cosine_similarity == min(logits.cosine_similarity, label.cosine_similarity)


def test_an_error_is_not_hidden_by_a_larger_output() -> None:
    large = np.random.default_rng(0).standard_normal((4, 1000)) * 100
    reference = Reference((large, REFERENCE), ("hidden", "logits"))
    blind = np.broadcast_to(REFERENCE.mean(axis=0), REFERENCE.shape)
    assert output_check.compare((large, blind), reference, trained=True).centred_error == pytest.approx(1)


def test_embeddings_have_no_class() -> None:
    found = output_check.compare((REFERENCE,), alone(REFERENCE)._replace(classes=False), trained=True)
    assert found.top1_agreement is found.outputs[0].top1_agreement is None


@pytest.mark.parametrize("wanted", [REFERENCE[:, :1], REFERENCE.reshape(2, 2, 3), REFERENCE.astype(int)])
def test_only_rows_of_scores_have_a_largest_entry(wanted: np.ndarray) -> None:
    assert compare(wanted, wanted).top1_agreement is None


def test_deep_outputs_are_rows() -> None:
    wanted = REFERENCE.reshape(2, 2, 3)
    assert compare(wanted + 1, wanted).samples == 2
    assert compare(wanted[:, 0, 0], wanted[:, 0, 0]).samples == 2


# ------------------------------------------------------------------------------------------------------------ judged


def test_random_weights_are_not_judged() -> None:
    found = compare(REFERENCE, trained=False)
    assert (found.judged, found.reason) == (False, "with random weights outputs hardly depend on the input")


@pytest.mark.parametrize(("level", "spread"), [(1, 0.0), (1, 3e-7), (1000, 3e-4)])
def test_outputs_that_do_not_vary_cannot_be_judged(level: float, spread: float) -> None:
    same = np.full((4, 3), level, np.float32) + np.linspace(0, spread, 4, dtype=np.float32)[:, None]
    found = compare(same, same)
    assert (found.judged, found.centred_error) == (False, None)
    assert found.reason == "the outputs do not vary between inputs"


def test_one_output_that_varies_is_enough() -> None:
    same = np.ones((4, 3), np.float32)
    found = output_check.compare((same, REFERENCE), Reference((same, REFERENCE), ("0", "1")), trained=True)
    assert (found.judged, found.centred_error) == (True, 0)


@pytest.mark.parametrize(("noise", "judged"), [(None, True), (0.01, True), (0.234, False)])
def test_a_model_that_differs_from_itself_is_not_judged(noise: float | None, judged: bool) -> None:
    found = output_check.compare((REFERENCE,), alone(REFERENCE)._replace(noise=noise), trained=True)
    assert (found.judged, found.noise) == (judged, noise)
    if not judged:
        assert found.reason == "the float32 model differs from itself by 23.4% of the variation between inputs"


def test_outputs_of_zeros_are_compared() -> None:
    for zeros in (np.zeros((4, 3), np.float32), np.zeros((4, 0), np.float32)):
        found = compare(zeros, zeros)
        assert (found.cosine_similarity, found.max_abs_error, found.max_rel_error) == (1, 0, None)


# ----------------------------------------------------------------------------------------------------- wrong outputs


def test_another_number_of_outputs() -> None:
    reference = Reference((REFERENCE, REFERENCE), ("logits", "hidden.0"))
    assert wrong((REFERENCE,), reference) == "1 outputs; the reference has 2: logits, hidden.0"


def test_another_shape() -> None:
    assert wrong((REFERENCE[:, :2],)) == "the output has shape (4, 2), the reference (4, 3)"
    named = Reference((REFERENCE,), ("logits",))
    assert wrong((REFERENCE[:3],), named) == "output 'logits' has shape (3, 3), the reference (4, 3)"
    assert wrong((REFERENCE[[0, 1, 2, 3, 0]],), named) == "output 'logits' has shape (5, 3), the reference (4, 3)"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(value: float) -> None:
    got = REFERENCE.copy()
    got[1, 2] = got[3, 2] = value
    reference = Reference((REFERENCE, REFERENCE), ("logits", "hidden"))
    assert wrong((REFERENCE, got), reference) == (
        f"output 'hidden' is {value} in sample 1 at [2], where the reference is -2; "
        "2 values are NaN, or infinite or unmasked where the reference is not"
    )


def test_the_place_of_a_wrong_value_has_as_many_indices_as_a_sample() -> None:
    wanted = REFERENCE.reshape(2, 2, 3)
    got = wanted.copy()
    got[1, 0, 2] = np.nan
    assert "in sample 1 at [0, 2], where the reference is 4; 1 values" in wrong((got,), alone(wanted))
    assert "in sample 1, where the reference is 4; 1 values" in wrong((got[:, 0, 2],), alone(wanted[:, 0, 2]))


@pytest.mark.parametrize("masked", [-np.inf, np.inf, np.finfo(np.float32).min])
def test_a_nan_is_wrong_where_the_reference_is_masked_too(masked: float) -> None:
    wanted, got = REFERENCE.copy(), REFERENCE.copy()
    wanted[1, 0], got[1, 0] = masked, np.nan
    assert "is nan in sample 1 at [0], where the reference is " in wrong((got,), alone(wanted))


def test_the_first_nan_of_an_output_is_found() -> None:
    outputs = np.zeros((2, 2, 3))
    outputs[0, 0, 0], outputs[1, 0, 2], outputs[1, 1, 1] = np.inf, np.nan, np.nan
    assert output_check.not_a_number(outputs) == "is nan in sample 1 at [0, 2]; 2 values are NaN"
    assert output_check.not_a_number(outputs[1, :, 1]) == "is nan in sample 1; 1 values are NaN"
    assert output_check.not_a_number(np.array([1, 2])) is output_check.not_a_number(np.array([np.inf, -np.inf])) is None


# ------------------------------------------------------------------------------------------------------------- masks

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
