from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autotune.core.finding import Finding
from autotune.worker.model_check import repeats
from tests.worker.model_check import numpy_models
from tests.worker.model_check.numpy_models import plain


def found(function: Callable[..., Any]) -> Finding | None:
    subject = numpy_models.subject(function)
    return repeats.find(subject, subject.rows, subject.call(subject.rows), subject.call(subject.rows))


def said_of(function: Callable[..., Any]) -> Finding:
    said = found(function)
    assert said is not None
    return said


def noisy(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return plain(x) + np.random.normal(size=(len(x), 5))


def drawing(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return plain(x) * random.random()


def test_the_same_answers_are_no_finding() -> None:
    assert found(plain) is None


@pytest.mark.parametrize("model", [noisy, drawing])
def test_random_numbers_are_named(model: Callable[..., Any]) -> None:
    said = said_of(model)
    assert said.what.startswith(
        "the model draws random numbers at each call: two calls with the same inputs differ by "
    )
    assert said.severity == "notice"


def test_state_that_a_call_leaves_behind_is_told_apart() -> None:
    calls = itertools.count()
    said = said_of(lambda x: plain(x) + next(calls))
    assert said.what.endswith("of the variation between rows, though it draws no random numbers")


def test_an_output_that_grows_is_an_error() -> None:
    kept: list[Any] = []

    def growing(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        kept.append(plain(x))
        return np.concatenate(kept, axis=1)

    said = said_of(growing)
    assert (said.severity, said.what) == (
        "error",
        "two calls with the same inputs return output 'output' of shape (8, 5), then (8, 10): "
        "the model keeps something from call to call",
    )
    counted = itertools.count(1)
    said = said_of(lambda x: (x,) * next(counted))
    assert "return 1 outputs, then 2: " in said.what
