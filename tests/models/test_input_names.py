from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.workload_spec import InputSpec
from autotune.models import input_names
from autotune.models.sources import Rows


def ordered(names: tuple[str, ...], inputs: dict[str, bool] | None) -> list[int]:
    """The places of the arrays, in the order in which the model gets them."""
    rows = Rows(tuple(np.array([place]) for place in range(max(len(names), 1))), names)
    own = None if inputs is None else lambda: inputs
    return [int(array[0]) for array in input_names.ordered(rows, "data.npz", lambda name: own)]


TEXT = {"input_ids": True, "attention_mask": True, "token_type_ids": False}


@pytest.mark.parametrize(
    ("names", "inputs", "places"),
    [
        (("attention_mask", "input_ids"), TEXT, [1, 0]),
        (("token_type_ids", "attention_mask", "input_ids"), TEXT, [2, 1, 0]),
        (("input_ids", "attention_mask"), TEXT, [0, 1]),
        (("arr_0", "arr_1"), TEXT, [0, 1]),  # by position
        (("ids", "mask"), TEXT, [0, 1]),
        (("mask",), TEXT, [0]),  # a single array needs no name
        ((), TEXT, [0]),
        (("attention_mask", "input_ids"), None, [0, 1]),  # nobody knows the model's names
        (("attention_mask", "input_ids"), {}, [0, 1]),
    ],
)
def test_arrays_are_matched_by_the_names_of_the_inputs(
    names: tuple[str, ...], inputs: dict[str, bool] | None, places: list[int]
) -> None:
    assert ordered(names, inputs) == places


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("mask", "input_ids"),
            "data.npz has the array 'mask' beside 'input_ids'; the model's inputs are input_ids, attention_mask, "
            "token_type_ids: name the arrays so, or none of them so to give them by position",
        ),
        (
            ("token_type_ids", "input_ids"),
            "data.npz has no array for the input 'attention_mask', only input_ids, token_type_ids; add it",
        ),
        (("attention_mask", "other"), "data.npz has the array 'other' beside 'attention_mask'; the model's inputs are"),
    ],
)
def test_names_that_do_not_fit_are_said(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        ordered(names, TEXT)
    assert str(caught.value).startswith(message)


def test_an_input_that_must_be_given_is_missed_at_the_end_too() -> None:
    with pytest.raises(ModelError, match="has no array for the input 'third', only first, second; add it"):
        ordered(("second", "first"), {"first": True, "second": True, "third": True})


def test_a_modules_arguments_are_its_inputs() -> None:
    def named(first: Any, second: Any = None, *, by_name: Any = None) -> None: ...

    def hidden(*inputs: Any) -> None: ...

    assert input_names.of_module(SimpleNamespace(forward=named)) == {"first": True, "second": False}
    assert input_names.of_module(SimpleNamespace(forward=hidden)) == {}
    assert input_names.of_module(SimpleNamespace(forward=3)) == {}


def test_a_module_that_takes_its_inputs_by_name_says_which() -> None:
    bound = SimpleNamespace(input_names=["second", "first"], forward=lambda *inputs: None)
    assert input_names.of_module(bound) == {"second": True, "first": True}


def test_described_inputs_are_named_by_themselves_or_by_the_model() -> None:
    sound, state = InputSpec(shape=("batch", 512)), InputSpec(shape=(2, "batch"), state="0")
    rate, mask = InputSpec(value=16000), InputSpec(shape=("batch",), name="mask")
    known = ("input", "state", "sr", "other")
    assert input_names.of_described((sound, state, rate, mask), known) == {"input": True, "mask": True}
    assert input_names.of_described((sound, state), ()) == {}  # by position
