from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker import output_check
from autotune.worker.reference import Reference
from tests.worker.answers.compared import REFERENCE, alone, compare, wrong

# -------------------------------------------------------------------------------------------------------- closeness


def test_the_same_outputs() -> None:
    found = compare(REFERENCE)
    assert (found.judged, found.reason, found.samples) == (True, None, 4)
    assert found.cosine_similarity == pytest.approx(1)
    assert (found.centred_error, found.max_abs_error, found.max_rel_error, found.top1_agreement) == (0, 0, 0, 1)


def test_no_outputs_are_closer_than_equal_ones() -> None:
    row = np.random.default_rng(12).standard_normal((1, 3))  # its cosine with itself is rounded to more than 1
    assert compare(row, np.concatenate([row, row + 1]), rows=np.array([0])).cosine_similarity == 1


def test_a_single_value_has_no_cosine() -> None:
    """Its sign alone says nothing: -1 stood beside an error of 0.01."""
    values = np.array([[0.1], [-0.2], [3.0], [4.0]])
    assert compare(values * [[1], [-1], [1], [1]], values).cosine_similarity == 1


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
    assert (label.max_abs_error, label.top1_agreement, label.agreement) == (1, None, 0)
    assert found.max_abs_error == logits.max_abs_error == 10
    assert (found.centred_error, label.centred_error) == (logits.centred_error, None)
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
