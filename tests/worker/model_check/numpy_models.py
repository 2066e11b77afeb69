"""Models in numpy, as sessions: what a check says of them depends on no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotune.worker.model_check.subject import Subject

Array = np.ndarray[Any, Any]


class Session:
    """A function of arrays in the place of a loaded model."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0

    def convert(self, arrays: tuple[Array, ...]) -> Any:
        return arrays

    def __call__(self, batch: Any) -> Any:
        self.calls += 1
        return self.function(*batch)

    def outputs(self, result: Any) -> tuple[Array, ...]:
        if isinstance(result, dict):
            return tuple(result.values())
        return result if isinstance(result, tuple) else (result,)

    def close(self) -> None:
        pass


def subject(function: Callable[..., Any], *rows: Array, **about: Any) -> Subject:
    """A model of 8 rows of 6 numbers, unless other rows are given."""
    given = rows or (np.random.default_rng(0).standard_normal((8, 6), dtype=np.float32),)
    return Subject(Session(function), given, **{"axes": (0,) * len(given)} | about)


WEIGHT = np.random.default_rng(1).standard_normal((6, 5), dtype=np.float32)


def plain(x: Array) -> Array:
    return np.tanh(x @ WEIGHT)


def recurrent(x: Array) -> Array:
    """The first dimension is the time."""
    state, out = np.zeros(5, np.float32), []
    for row in x @ WEIGHT:
        state = np.tanh(0.5 * state + row)
        out.append(state)
    return np.stack(out)


def normalised(x: Array) -> Array:
    y = x @ WEIGHT
    return (y - y.mean(0)) / (y.std(0) + 1e-3)


def pairs(x: Array) -> dict[str, Array]:
    y = x @ WEIGHT
    return {"logits": y @ y.T, "embeds": y}


def longest(x: Array, lengths: Array) -> Array:
    return x[:, : lengths.max()]
