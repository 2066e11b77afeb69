"""A model in the user's own process: called with tensors or arrays whatever runs it, it answers in the same form."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotune.apply import input_check
from autotune.core.best import Best
from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Session
from autotune.models import workload

if TYPE_CHECKING:
    import numpy as np

LONE = "output"
"""The name of an output that is all that a model returns."""


class LoadedModel:
    """A model that runs as a `best.json` says; it is no torch module.

    Any number of threads may call it: each gets the answers to its own batch, side by side where the runtime allows
    that, else one after the other. `best` is the file's content. `with` closes it at the end.
    """

    def __init__(
        self,
        best: Best,
        session: Session,
        input_names: Sequence[str] | None = None,
        example: tuple[np.ndarray[Any, Any], ...] = (),
    ) -> None:
        self.best = best
        self._session: Any = session
        self._names = None if input_names is None else tuple(input_names)
        self._prepared = session.inputs() if hasattr(session, "inputs") else None
        self._measured = input_check.measured(best.workload.inputs, example)
        self._concurrent = getattr(session, "concurrent", False)
        self._turn: contextlib.AbstractContextManager[Any] = (
            contextlib.nullcontext() if self._concurrent else threading.Lock()
        )

    def __call__(self, *batch: Any) -> Any:
        """Run the model on a batch: its inputs in their order, one tuple or list of them, or a dict by their names.

        Torch tensors give tensors, numpy arrays give arrays: alone where the model returns one, a tuple where it
        returns several, a dict where it names them (`logits`, `hidden.0`). ModelError if the batch does not fit, or the
        model fails on it.
        """
        given = self._in_order(batch)
        arrays = tuple(_array(one) for one in given)
        self._check(arrays)
        if self._prepared is not None:
            arrays = input_check.fitting(arrays, self._prepared)
        found = self._answers(arrays)
        if any(hasattr(one, "detach") for one in given):
            import torch

            return self._as_returned([torch.from_numpy(array) for array in found])
        return self._as_returned(found)

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the runtime; the model cannot be called any more."""
        with self._turn:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs' names in their order: the model's own, or those that were given."""
        if self._names is None:
            self._names = self._own_names()
        return self._names

    def _answers(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> list[np.ndarray[Any, Any]]:
        """The outputs, which no later call changes."""
        with self._turn:
            session = self._session
            if session is None:
                raise ModelError("the model is closed; load it again")
            try:
                found = session.outputs(session(session.convert(arrays)))
            except Exception as error:
                raise ModelError(self._why_not(arrays, error)) from error
            # what a module of the user's returns may be a buffer that its next call writes to
            return list(found) if self._concurrent else [array.copy() for array in found]

    def _why_not(self, arrays: tuple[np.ndarray[Any, Any], ...], error: Exception) -> str:
        """Why the model failed: where the batch differs from what was measured, and the runtime's own words."""
        if found := input_check.misfit(arrays, self._measured):
            return f"{found}, and does not take this: {one_line(error)}"
        rows, tuned = len(arrays[0]), self.best.config.workload.batch_size
        if rows == tuned:
            return f"the model fails on this batch: {one_line(error)}"
        return (
            f"the model did not take a batch of {rows}: {one_line(error)}; it was measured with "
            f"batches of {tuned}: give it those, or tune a model whose batch dimension is dynamic"
        )

    def _own_names(self) -> tuple[str, ...]:
        """The names of the inputs in the model's own file or code; none where that takes any number of them."""
        built = workload.BuiltWorkload(self.best.workload)
        if built.form == "onnx" and self._prepared is not None:
            return tuple(port.name for port in self._prepared if port.name is not None)
        parameters = inspect.signature(built.module().forward).parameters.values()
        if any(one.kind is one.VAR_POSITIONAL for one in parameters):
            return ()
        return tuple(one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD)

    def _in_order(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        one = batch[0] if len(batch) == 1 else batch
        if not isinstance(one, Mapping):
            return tuple(one) if isinstance(one, tuple | list) else (one,)
        if not self.input_names:
            raise ModelError("the model's inputs have no names; give them in their order, or load with input_names")
        for name in one:
            if name not in self.input_names:
                raise ModelError(f"the model has no input {name!r}{did_you_mean(str(name), self.input_names)}")
        # What is left out at the end has a default in the model's code.
        names = self.input_names[: max((self.input_names.index(name) for name in one), default=-1) + 1]
        if missing := [name for name in names if name not in one]:
            raise ModelError(f"the batch has no {missing[0]!r}; the model's inputs are {', '.join(self.input_names)}")
        return tuple(one[name] for name in names)

    def _check(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> None:
        wanted = len(self.best.workload.inputs) or len(arrays)
        if not arrays or len(arrays) != wanted:
            raise ModelError(f"the batch has {len(arrays)} inputs; the model was measured with {wanted or 'some'}")
        if any(not array.ndim for array in arrays):
            raise ModelError("an input is a single number; give each input rows: the first dimension is the batch")
        if len({len(array) for array in arrays}) > 1:
            rows = ", ".join(str(len(array)) for array in arrays)
            raise ModelError(f"the inputs have {rows} rows; the first dimension of each is the batch")

    def _as_returned(self, found: list[Any]) -> Any:
        known = self.best.fidelity.outputs if self.best.fidelity else ()
        names = [one.name for one in known]
        structured = len(names) == len(found) and names != [LONE]
        if len(found) == 1 and not (structured and self._has_structure):
            return found[0]
        if structured and not all(name.isdecimal() for name in names):
            return dict(zip(names, found, strict=True))
        return tuple(found)

    @property
    def _has_structure(self) -> bool:
        """True if the model's code decides how outputs are returned: a graph in a file only lists them."""
        return workload.provider(self.best.workload).form == "module"


def one_line(error: BaseException) -> str:
    """An error in one line: its type, and at most 300 characters of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")


def _array(given: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = (given.float() if str(given.dtype) == "torch.bfloat16" else given).numpy()
    return np.ascontiguousarray(given) if np.ndim(given) else np.asarray(given)
