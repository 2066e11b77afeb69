"""Calls that follow one another: outputs of one, a model's state, are inputs of the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.results import Status
from autotune.core.workload_spec import InputSpec
from autotune.worker.batches import Arrays
from autotune.worker.check_failed import CheckFailed

STEPS = 4
"""The calls of a sequence whose last one is compared: by then the state is no longer what it began with."""


class Sequel:
    """A batch in the runtime's form whose state changes with each call."""

    def __init__(self, arrays: Arrays, converted: Any) -> None:
        self.arrays = arrays
        self.converted = converted


class FedBack:
    """A session whose calls hand on the state: `places` says of inputs which output they are fed by."""

    def __init__(self, session: Session, places: Mapping[int, int]) -> None:
        if hasattr(session, "stream"):
            raise CheckFailed(
                Status.NOT_APPLIED, "calls that hand on a state follow one another; requests must be 1 for this model"
            )
        self._session = session
        self._places = places
        self.compiles = getattr(session, "compiles", False)
        self.steps = STEPS

    def convert(self, arrays: Arrays) -> Sequel:
        """A sequence that begins with these inputs."""
        return Sequel(arrays, self._session.convert(arrays))

    def __call__(self, batch: Sequel) -> Any:
        """Run the model, and make its outputs the inputs of the sequence's next call."""
        result = self._session(batch.converted)
        outputs = self._session.outputs(result)
        arrays = list(batch.arrays)
        for place, source in self._places.items():
            if outputs[source].shape != arrays[place].shape:
                raise ModelError(
                    f"output {source} has shape {outputs[source].shape}, the input that it is fed back to "
                    f"{arrays[place].shape}; a state keeps its shape"
                )
            arrays[place] = outputs[source].astype(arrays[place].dtype, copy=False)
        batch.arrays = tuple(arrays)
        batch.converted = self._session.convert(batch.arrays)
        return result

    def outputs(self, result: Any) -> Arrays:
        """A call's outputs as arrays."""
        return self._session.outputs(result)

    def flags(self) -> tuple[str, ...]:
        """What the session has to say of the blocks."""
        return tuple(self._session.flags()) if hasattr(self._session, "flags") else ()

    def close(self) -> None:
        """Release the runtime."""
        self._session.close()


def with_state(session: Session, inputs: Sequence[InputSpec], names: Sequence[str]) -> Session:
    """The session, or where inputs are states one that hands them on; `names` are those of the outputs."""
    places = {place: _output(one.state, names) for place, one in enumerate(inputs) if one.state is not None}
    return FedBack(session, places) if places else session


def _output(wanted: str, names: Sequence[str]) -> int:
    """The number of an output by its name, or else by its number."""
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise ModelError(f"the model has no output {wanted!r} to feed back; its outputs are {', '.join(names)}")


def answer(session: Session, batch: Any) -> Any:
    """The result of a call; where calls hand on a state, of the last call of a short sequence."""
    result = session(batch)
    for _ in range(getattr(session, "steps", 1) - 1):
        result = session(batch)
    return result
