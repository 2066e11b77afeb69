from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.workload_spec import InputSpec
from autotune.worker.check_failed import CheckFailed
from autotune.worker.fed_back import STEPS, answer, with_state

Arrays = tuple[np.ndarray[Any, Any], ...]

NAMES = ("output", "stateN")
INPUTS = (InputSpec(shape=("batch", 3)), InputSpec(shape=(2, "batch", 3), state="stateN"))
X, STATE = np.ones((4, 3), np.float32), np.zeros((2, 4, 3), np.float32)


class Adding:
    """Adds the input to the state, and returns twice that, too."""

    def __init__(self) -> None:
        self.closed = False

    def convert(self, arrays: Arrays) -> Any:
        return list(arrays)

    def __call__(self, batch: Any) -> Any:
        x, state = batch
        return 2 * (x + state[0]), (x + state).astype(np.float64)

    def outputs(self, result: Any) -> Arrays:
        return tuple(result)

    def close(self) -> None:
        self.closed = True


def test_the_state_is_handed_on() -> None:
    session = with_state(Adding(), INPUTS, NAMES)
    batch = session.convert((X, STATE))
    outputs = [session.outputs(session(batch))[0][0, 0] for _ in range(3)]
    assert outputs == [2, 4, 6]
    assert batch.arrays[1].dtype == np.float32
    assert session.outputs(session(session.convert((X, STATE))))[0][0, 0] == 2  # another sequence begins anew
    assert not STATE.any()
    session.close()


def test_the_last_call_of_a_short_sequence_is_compared() -> None:
    session = with_state(Adding(), INPUTS, NAMES)
    assert session.outputs(answer(session, session.convert((X, STATE))))[0][0, 0] == 2 * STEPS
    plain = Adding()
    assert plain.outputs(answer(plain, plain.convert((X, STATE))))[0][0, 0] == 2


def test_without_a_state_the_session_is_as_it_was() -> None:
    session = Adding()
    assert with_state(session, (), NAMES) is session
    assert with_state(session, (INPUTS[0],), NAMES) is session


@pytest.mark.parametrize("wanted", ["stateN", "1"])
def test_an_output_is_named_or_numbered(wanted: str) -> None:
    session = with_state(Adding(), (INPUTS[0], InputSpec(shape=(2, "batch", 3), state=wanted)), NAMES)
    batch = session.convert((X, STATE))
    session(batch)
    assert batch.arrays[1].all()


@pytest.mark.parametrize("wanted", ["state", "2"])
def test_an_output_that_the_model_has_not_is_said(wanted: str) -> None:
    with pytest.raises(ModelError, match=f"no output '{wanted}' to feed back; its outputs are output, stateN"):
        with_state(Adding(), (INPUTS[0], InputSpec(shape=(2, "batch", 3), state=wanted)), NAMES)


def test_a_state_keeps_its_shape() -> None:
    session = with_state(Adding(), (INPUTS[0], InputSpec(shape=(2, "batch", 3), state="output")), NAMES)
    with pytest.raises(ModelError, match=r"output 0 has shape \(4, 3\), the input that it is fed back to \(2, 4, 3\)"):
        session(session.convert((X, STATE)))


def test_calls_in_flight_together_have_no_state_to_hand_on() -> None:
    class Queued(Adding):
        def stream(self, batch: Any, stop_ns: int) -> Any: ...

    with pytest.raises(CheckFailed, match="follow one another; requests must be 1"):
        with_state(Queued(), INPUTS, NAMES)
