from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autotune.core.answers import Fidelity
from autotune.worker import output_check
from autotune.worker.batches import reference_rows
from autotune.worker.check_failed import CheckFailed
from autotune.worker.reference import Reference

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
Verdict = tuple[float | None, ...] | str


def compare(outputs: np.ndarray, reference: np.ndarray, rows: np.ndarray) -> Fidelity:
    return output_check.compare((outputs,), Reference((reference,), ("output",), classes=True), True, rows)


@st.composite
def checked_batches(draw: st.DrawFn) -> Batch:
    """Reference outputs with some values masked, the outputs of a batch that equal them, and each row's reference."""
    known, count = draw(st.integers(2, 8)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    reference = rng.standard_normal((known, draw(st.integers(2, 5))))
    masks = rng.random(reference.shape) < draw(st.sampled_from([0.0, 0.3]))
    reference[masks] = -np.inf
    rows = reference_rows(count, known)
    outputs = np.where((rows >= 0)[:, None], reference[rows], np.nan)
    return outputs, reference, rows


def verdict(outputs: np.ndarray, reference: np.ndarray, rows: np.ndarray) -> Verdict:
    """The figures, or the kind of what is wrong."""
    try:
        found = compare(outputs, reference, rows)
    except CheckFailed as failed:
        return failed.status.value
    return (
        found.cosine_similarity,
        found.centred_error,
        found.max_abs_error,
        found.max_rel_error,
        found.top1_agreement,
    )


def noisy(outputs: np.ndarray, data: st.DataObject) -> np.ndarray:
    """The outputs with noise, and perhaps one wrong value."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    got = outputs + 0.1 * rng.standard_normal(outputs.shape)
    if data.draw(st.booleans()):
        got.flat[rng.integers(got.size)] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e9]))
    return got


def same(one: Verdict, other: Verdict) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    pairs = zip(one, other, strict=True)
    return all(a == b if b is None else a == pytest.approx(b, rel=1e-6, abs=1e-9) for a, b in pairs)


@given(checked_batches(), st.data())
def test_an_error_in_any_row_that_has_a_reference_is_found(batch: Batch, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    row = data.draw(st.sampled_from([0, len(rows) - 1, *np.flatnonzero(rows >= 0)]))
    places = np.flatnonzero(np.isfinite(outputs[row]))
    assume(len(places))
    got, place = outputs.copy(), data.draw(st.sampled_from(list(places)))
    got[row, place] += data.draw(st.sampled_from([-0.01, 0.01, 3.0]))
    found = compare(got, reference, rows)
    assert found.max_abs_error == pytest.approx(abs(got[row, place] - outputs[row, place]))
    assert found.centred_error is None or found.centred_error > 0
    got[row, place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    assert verdict(got, reference, rows) == "wrong_output"


@given(checked_batches(), st.sampled_from([np.inf, 1e9, 0.0, np.nan]), st.data())
def test_an_error_in_a_masked_place_is_found(batch: Batch, value: float, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    masked = np.argwhere(np.isneginf(outputs))
    assume(len(masked))
    got = outputs.copy()
    got[tuple(data.draw(st.sampled_from(list(masked))))] = value
    assert verdict(got, reference, rows) == "wrong_output"


@given(checked_batches(), st.data())
def test_the_order_of_rows_changes_nothing(batch: Batch, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    got = noisy(outputs, data)
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    assert same(verdict(got[order], reference, rows[order]), verdict(got, reference, rows))
    renamed = np.array(data.draw(st.permutations(range(len(reference)))))
    moved = np.where(rows >= 0, np.argsort(renamed)[rows], -1)
    assert same(verdict(got, reference[renamed], moved), verdict(got, reference, rows))


@given(checked_batches(), st.data())
def test_the_order_of_values_within_rows_changes_nothing(batch: Batch, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    got = noisy(outputs, data)
    order = np.array(data.draw(st.permutations(range(reference.shape[1]))))
    assert same(verdict(got[:, order], reference[:, order], rows), verdict(got, reference, rows))


@given(checked_batches(), st.sampled_from([2.0**-20, 0.5, 2.0**20]), st.data())
def test_the_unit_of_outputs_changes_no_verdict(batch: Batch, scale: float, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    got = noisy(outputs, data)
    plain, scaled = verdict(got, reference, rows), verdict(got * scale, reference * scale, rows)
    if not isinstance(plain, str):
        plain = (*plain[:2], (plain[2] or 0.0) * scale, *plain[3:])
    assert same(scaled, plain)


@given(checked_batches(), st.data())
def test_the_sign_of_outputs_changes_no_verdict(batch: Batch, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    got = noisy(outputs, data)
    plain, negated = verdict(got, reference, rows), verdict(-got, -reference, rows)
    assert same(negated if isinstance(negated, str) else negated[:4], plain if isinstance(plain, str) else plain[:4])


@given(checked_batches(), st.data())
def test_a_closer_answer_has_a_smaller_error(batch: Batch, data: st.DataObject) -> None:
    outputs, reference, rows = batch
    got = outputs + np.random.default_rng(data.draw(st.integers(0, 2**32))).standard_normal(outputs.shape)
    near = np.where(np.isfinite(outputs), (got + outputs) / 2, outputs)
    far, close = compare(got, reference, rows), compare(near, reference, rows)
    assert close.max_abs_error == pytest.approx(far.max_abs_error / 2)
    if far.centred_error is not None:
        assert close.centred_error == pytest.approx(far.centred_error / 4)
