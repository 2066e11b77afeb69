from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autotune.core.finding import Finding
from autotune.worker.model_check import rows
from autotune.worker.model_check.subject import Outputs, Subject, told_apart
from tests.worker.model_check import numpy_models
from tests.worker.model_check.numpy_models import WEIGHT, longest, normalised, pairs, plain, recurrent


def found(subject: Subject, *places: int) -> Finding | None:
    places = places or tuple(range(8))
    alone: dict[int, Outputs] = {}
    if subject.fixed is None:
        alone = {place: subject.call(subject.picked(place)) for place in (places[0], places[-1])}
    return rows.find(subject, places, subject.call(subject.picked(*places)), alone)


def half(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rounds as 8-bit floats do: a batch of one is computed a little otherwise."""
    return np.round(plain(x) * 256 + len(x) / 9) / 256


@pytest.mark.parametrize("places", [(), (0, 7), (0, 3, 7)])
def test_rows_of_their_own_are_no_finding(places: tuple[int, ...]) -> None:
    assert found(numpy_models.subject(plain), *places) is None
    assert found(numpy_models.subject(half), *places) is None
    assert found(numpy_models.subject(plain, fixed=8), *range(8)) is None


@pytest.mark.parametrize("places", [(), (0, 7), (0, 3, 7)])
@pytest.mark.parametrize(
    ("model", "line"),
    [
        (
            recurrent,
            "a row's answer depends on the rows before it (output); the first dimension must be the batch "
            "(batch_first=True), or inputs say where it is: [length, batch, features], or tune one batch size",
        ),
        (
            normalised,
            "the answer to a row depends on the rest of the batch (output); make each row's answer its own, "
            "or tune one batch size",
        ),
        (
            pairs,
            "the answer to a row depends on the rest of the batch (logits); return the embeddings alone, "
            "or tune one batch size",
        ),
    ],
)
def test_rows_that_depend_on_others_are_an_error(model: Callable[..., Any], line: str, places: tuple[int, ...]) -> None:
    said = found(numpy_models.subject(model), *places)
    assert said is not None and (said.line, said.severity) == (line, "error")
    tuned = found(numpy_models.subject(model, tuned=8), *places)
    assert tuned is not None and (tuned.line, tuned.severity) == (line, "notice")


def test_a_model_of_one_batch_size_is_looked_at_by_other_neighbours() -> None:
    for model in (recurrent, normalised, pairs):
        said = found(numpy_models.subject(model, fixed=8), *range(8))
        assert said is not None and "depends on" in said.what


def test_rows_in_the_second_dimension_are_of_their_own() -> None:
    steps = np.random.default_rng(0).standard_normal((9, 8, 6), dtype=np.float32)

    def steps_first(x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        states = recurrent(x)
        return states, states[-1:]

    for fixed in (None, 8):
        assert found(numpy_models.subject(steps_first, steps, axes=(1,), fixed=fixed), *range(8)) is None
    said = found(numpy_models.subject(steps_first, steps, axes=(0,)), *range(8))
    assert said is not None and said.what == "a row's answer depends on the rows before it"


def test_a_little_dependence_is_a_notice() -> None:
    def scaled(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        scale = np.abs(x).max() / 127
        return np.round(x / scale) * scale @ WEIGHT

    said = found(numpy_models.subject(scaled))
    assert said is not None and said.severity == "notice"
    assert said.what.startswith("the answer to a row depends on the rest of the batch, by ")


def test_widths_of_the_longest_row_are_an_error() -> None:
    x, lengths = np.ones((8, 9, 2)), np.arange(2, 10)
    for places, fixed in (((), None), ((0, 7), None), (tuple(range(8)), 8)):
        said = found(numpy_models.subject(longest, x, lengths, fixed=fixed), *places)
        assert said is not None and said.severity == "error"
        assert said.what.startswith("the output has ") and " columns for one batch and 9 for another" in said.what
        assert "pad it to a fixed length" in said.instead


def test_a_row_that_is_another_one_alone_is_an_error() -> None:
    said = found(numpy_models.subject(lambda x: plain(x) * (2 if len(x) == 1 else 1)))
    assert said is not None and said.what == "a row's answer is another one alone than in a batch of 8"


def test_a_squeezed_batch_and_other_numbers_of_outputs_are_errors() -> None:
    said = found(numpy_models.subject(lambda x: plain(x).squeeze()))
    assert said is not None
    assert said.what == "the output has shape (5,) for a batch of 1 and (8, 5) for one of 8"
    said = found(numpy_models.subject(lambda x: (x,) * (1 + (len(x) > 1))))
    assert said is not None
    assert said.what == "the model returns 1 outputs for a batch of 1, 2 for one of 8"


def test_nan_and_masks_are_no_difference() -> None:
    def masked(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        y = plain(x)
        y[:, 0], y[:, 1] = -np.inf, np.nan
        return y

    assert found(numpy_models.subject(masked)) is None


def test_copies_of_one_row_are_told_apart() -> None:
    row = np.random.default_rng(0).standard_normal((1, 6), dtype=np.float32).repeat(8, axis=0)
    (apart,) = told_apart((row,), (0,))
    np.testing.assert_array_equal(apart[0], row[0])
    assert apart.dtype == row.dtype and found(numpy_models.subject(normalised, apart)) is not None
    assert found(numpy_models.subject(plain, apart)) is None
    varied = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert told_apart((varied, np.int64(3)), (0, None))[0] is varied
