from __future__ import annotations

from typing import Any

import numpy as np

from autotune.worker.model_check import first_calls
from autotune.worker.model_check.first_calls import FirstCall
from tests.worker.model_check import numpy_models
from tests.worker.model_check.numpy_models import plain

Array = np.ndarray[Any, Any]


def scaled(x: Array) -> Array:
    x /= 255
    return plain(x)


def test_a_call_tells_outputs_seconds_and_their_memory() -> None:
    found = first_calls.call(numpy_models.subject(plain), (0, 7))
    assert found.outputs is not None and found.outputs["output"].shape == (2, 5)
    assert (found.row_bytes, found.error, found.changed) == (20, None, None)
    assert found.seconds > 0


def test_an_input_that_is_changed_in_place_is_an_error_and_the_rows_are_kept() -> None:
    subject = numpy_models.subject(scaled)
    before = subject.rows[0].copy()
    found = first_calls.call(subject, (0,))
    assert found.changed is not None and found.changed.severity == "error"
    assert found.changed.line.startswith("the model changes its input 0 in place; write x = x / 255")
    np.testing.assert_array_equal(subject.rows[0], before)


def test_an_error_of_the_model_is_kept() -> None:
    found = first_calls.call(numpy_models.subject(lambda x: x.reshape(8, -1)), (0, 1, 2))
    assert isinstance(found.error, ValueError)


def test_of_a_slow_or_large_model_two_rows_are_called_together() -> None:
    subject = numpy_models.subject(plain)
    small = {"output": np.zeros((1, 4))}
    assert first_calls.several(subject, FirstCall((0,), small, seconds=0.01)) == tuple(range(8))
    assert first_calls.several(subject, FirstCall((0,), small, seconds=0.1)) == (0, 7)
    large = {"output": np.zeros((1, 2**23))}
    assert first_calls.several(subject, FirstCall((0,), large)) == (0, 7)
    assert first_calls.several(numpy_models.subject(plain, fixed=4), None) == (0, 1, 2, 3)
    assert first_calls.several(numpy_models.subject(plain, tuned=2), None) == (0, 1)


def test_one_row_that_fails_where_several_do_not_is_an_error() -> None:
    works, fails = FirstCall((0, 7), {}), FirstCall((0,), error=ValueError("Expected more than 1 value"))
    for tuned, severity in ((None, "error"), (8, "notice")):
        found = first_calls.failed(numpy_models.subject(plain, tuned=tuned), fails, works)
        assert found is not None and found.severity == severity
        assert found.what == "the model takes a batch of 2 but not of 1: ValueError: Expected more than 1 value"
    assert first_calls.failed(numpy_models.subject(plain), works, works) is None
    assert first_calls.failed(numpy_models.subject(plain), None, works) is None
