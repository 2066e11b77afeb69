from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autotune.apply.model_inputs import ModelInputs
from autotune.core.errors import ModelError
from autotune.core.interfaces import Port
from autotune.core.workload_spec import InputSpec, WorkloadSpec

SPEECH = (
    InputSpec(shape=("batch", 512), name="input"),
    InputSpec(value=16000, dtype="int64", name="sr"),
    InputSpec(shape=(2, "batch", 128), state="stateN", name="state"),
)
"""As of a speech model: samples, a constant, and a state with the batch in second place."""


def speech(**given: Any) -> ModelInputs:
    return ModelInputs(WorkloadSpec(model="onnx:speech.onnx", inputs=SPEECH), **given)


def batch(rows: int, state_rows: int | None = None) -> tuple[np.ndarray[Any, Any], ...]:
    return np.zeros((rows, 512), np.float32), np.ones((2, state_rows or rows, 128), np.float32)


def test_names_are_those_of_the_space_file_unless_others_are_given() -> None:
    assert speech().names == ("input", "sr", "state")
    assert speech(names=("a", "b", "c")).names == ("a", "b", "c")


def test_names_of_a_file_are_those_it_was_prepared_with() -> None:
    ports = tuple(Port(name, None, None) for name in ("left", "right"))
    assert ModelInputs(WorkloadSpec(model="onnx:pair.onnx", inputs=()), None, ports).names == ("left", "right")


@pytest.mark.parametrize("rows", [1, 5])
def test_a_constant_may_be_left_out(rows: int) -> None:
    samples, state = batch(rows)
    for given in (
        (samples, state),
        (samples, np.asarray(16000), state),
        ({"state": state, "input": samples},),
        ({"state": state, "sr": np.asarray(16000), "input": samples},),
    ):
        found = speech().fitting(speech().in_order(given))
        assert found[0] is samples and found[2] is state
        assert found[1] == 16000 and found[1].dtype == np.int64


def test_what_varies_may_not_be_left_out() -> None:
    with pytest.raises(ModelError, match="the batch has no 'input'; the model's inputs are input, sr, state"):
        speech().in_order(({"state": batch(1)[1]},))
    with pytest.raises(ModelError, match="the batch has 1 inputs; the model was measured with 3"):
        speech().fitting(speech().in_order((batch(1)[0],)))


def test_rows_are_counted_where_the_batch_is() -> None:
    inputs = speech()
    with pytest.raises(ModelError, match="the inputs have 3, 4 rows; in turn their dimension 0, 1 is the batch"):
        inputs.fitting(inputs.in_order(batch(3, 4)))


def test_a_failure_is_that_of_a_size_or_a_batch_or_the_models_own() -> None:
    inputs = speech()
    wide = (np.zeros((3, 256), np.float32), np.asarray(16000), batch(3)[1])
    said = inputs.why_not(wide, "Error: no", 3)
    assert (
        said
        == "input 0 has size 256 in dimension 1; the model was measured with 512, and does not take this: Error: no"
    )
    fine = inputs.in_order(batch(3))
    assert inputs.why_not(fine, "Error: no", 3) == "the model fails on this batch: Error: no"
    assert inputs.why_not(fine, "Error: no", 8).startswith(
        "the model did not take a batch of 3: Error: no; it was meas"
    )
