"""A model in the user's own process: called with tensors or arrays whatever runs it, it answers in the same form."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotune.core.best import Best
from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Session
from autotune.models import workload

if TYPE_CHECKING:
    import numpy as np

LONE = "output"
"""The name of an output that is all that a model returns."""


class LoadedModel:
    """A model that runs as a `best.json` says; it is no torch module, and takes one call at a time.

    `best` is the file's content. `with` closes it at the end.
    """

    def __init__(self, best: Best, session: Session, input_names: Sequence[str] | None = None) -> None:
        self.best = best
        self._session = session
        self._names = None if input_names is None else tuple(input_names)

    def __call__(self, *batch: Any) -> Any:
        """Run the model on a batch: its inputs in their order, one tuple or list of them, or a dict by their names.

        Torch tensors give tensors, numpy arrays give arrays: alone where the model returns one, a tuple where it
        returns several, a dict where it names them (`logits`, `hidden.0`). ModelError if the batch does not fit.
        """
        given = self._in_order(batch)
        arrays = tuple(_array(one) for one in given)
        self._check(arrays)
        try:
            found = self._session.outputs(self._session(self._session.convert(arrays)))
        except Exception as error:
            rows, tuned = len(arrays[0]), self.best.config.workload.batch_size
            if rows == tuned:
                raise
            raise ModelError(
                f"the model did not take a batch of {rows}: {one_line(error)}; it was measured with "
                f"batches of {tuned}: give it those, or tune a model whose batch dimension is dynamic"
            ) from error
        if any(hasattr(one, "detach") for one in given):
            import torch

            return self._as_returned([torch.from_numpy(array) for array in found])
        return self._as_returned(list(found))

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the runtime; the model cannot be called any more."""
        self._session.close()

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs' names in their order: the model's own, or those that were given."""
        if self._names is None:
            self._names = _names(self.best)
        return self._names

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
        if len(names) == len(found) and names != [LONE] and not all(name.isdecimal() for name in names):
            return dict(zip(names, found, strict=True))
        return found[0] if len(found) == 1 and names != ["0"] else tuple(found)


def one_line(error: BaseException) -> str:
    """An error in one line: its type, and at most 300 characters of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")


def _array(given: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = (given.float() if str(given.dtype) == "torch.bfloat16" else given).numpy()
    return np.ascontiguousarray(given) if np.ndim(given) else np.asarray(given)


def _names(best: Best) -> tuple[str, ...]:
    """The names of the inputs in the model's own code or file; none where its code takes any number of them."""
    built = workload.BuiltWorkload(best.workload)
    if built.form == "onnx":
        import onnx

        graph = onnx.load(built.file(), load_external_data=False).graph
        constants = {tensor.name for tensor in graph.initializer}
        return tuple(given.name for given in graph.input if given.name not in constants)
    parameters = inspect.signature(built.module().forward).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return ()
    return tuple(one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD)
