"""A model in the user's own process: called with tensors or arrays whatever runs it, it answers in the same form."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autotune.apply.model_inputs import ModelInputs
from autotune.core.best import Best
from autotune.core.errors import ModelError
from autotune.core.interfaces import Session
from autotune.core.outputs import LONE, tensors
from autotune.models import workload

if TYPE_CHECKING:
    import numpy as np

    from autotune.core.rows import Arrays, Axes


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
        example: Arrays = (),
        axes: Axes = (),
    ) -> None:
        self.best = best
        self._session: Any = session
        prepared = session.inputs() if hasattr(session, "inputs") else None
        self._inputs = ModelInputs(best.workload, input_names, prepared, example, axes)
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
        given = self._inputs.in_order(batch)
        names, found = self._answers(self._inputs.fitting(tuple(_array(one) for one in given)))
        if any(hasattr(one, "detach") for one in given):
            import torch

            return self._as_returned(names, [torch.from_numpy(array) for array in found])
        return self._as_returned(names, found)

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
        return self._inputs.names

    def _answers(self, arrays: Arrays) -> tuple[Sequence[str], list[np.ndarray[Any, Any]]]:
        """The outputs, which no later call changes, and their names; none where they are not known."""
        with self._turn:
            session = self._session
            if session is None:
                raise ModelError("the model is closed; load it again")
            try:
                result = session(session.convert(arrays))
                found = session.outputs(result)
            except Exception as error:
                tuned = self.best.config.workload.batch_size
                raise ModelError(self._inputs.why_not(arrays, one_line(error), tuned)) from error
            # what a module of the user's returns may be a buffer that its next call writes to
            names = self._names(session, result, len(found))
            return names, list(found) if self._concurrent else [array.copy() for array in found]

    def _names(self, session: Session, result: Any, count: int) -> Sequence[str]:
        """The names of the outputs that were compared; with one that is one for the whole batch, those of this call."""
        compared = [one.name for one in self.best.fidelity.outputs] if self.best.fidelity else []
        if len(compared) == count or not compared:
            return compared
        names = getattr(session, "output_names", None) or [name for name, _ in tensors(result)]
        return names if len(names) == count else ()

    def _as_returned(self, names: Sequence[str], found: list[Any]) -> Any:
        structured = len(names) == len(found) and list(names) != [LONE]
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
