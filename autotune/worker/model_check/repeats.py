"""Calls that differ from each other: by random numbers, or by state that a call leaves behind."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from autotune.core.finding import Finding
from autotune.worker.batches import Arrays
from autotune.worker.model_check import difference, operations
from autotune.worker.model_check.subject import Outputs, Subject

SAME = 1e-6
"""The difference of two calls with the same rows up to which it is rounding, in an order that threads decide."""


def find(subject: Subject, batch: Arrays, one: Outputs, other: Outputs) -> Finding | None:
    """What is said of two calls with the same batch, whose outputs are `one` and `other`; None where they are alike."""
    resized = [name for name in one if name in other and one[name].shape != other[name].shape]
    if resized or one.keys() != other.keys():
        return _grows(one, other, resized)
    differs = difference.largest(one, other)
    return _varying(subject, batch, differs) if differs > SAME else None


def _grows(one: Outputs, other: Outputs, resized: list[str]) -> Finding:
    shown = (
        f"output {resized[0]!r} of shape {one[resized[0]].shape}, then {other[resized[0]].shape}"
        if resized
        else (f"{len(one)} outputs, then {len(other)}")
    )
    return Finding(
        what=f"two calls with the same inputs return {shown}: the model keeps something from call to call",
        instead="hand such state in as an input and return it",
        severity="error",
    )


def _varying(subject: Subject, batch: Arrays, differs: float) -> Finding:
    """Random numbers with the line that draws them, else state or an order that varies."""
    so_much = f"two calls with the same inputs differ by {differs:.2g} of the variation between rows"
    drawn, line = _draws(subject, batch)
    if drawn:
        return Finding(
            what=f"the model draws random numbers at each call: {so_much}, so no answer can be judged",
            where=line,
            instead="write F.dropout(x, training=self.training), or hand the random numbers in as an input",
        )
    return Finding(
        what=f"{so_much}, though it draws no random numbers",
        instead="keep nothing from one call to the next in the module or beside it",
    )


def _draws(subject: Subject, batch: Arrays) -> tuple[bool, str | None]:
    """Whether a call takes random numbers, and the line of the model that does."""
    before = _states()
    if subject.module is None:
        subject.call(batch)
        return _states() != before, None
    with operations.first(operations.draws_random_numbers) as lines:
        subject.call(batch)
    return bool(lines) or _states() != before, lines[0] if lines else None


def _states() -> list[Any]:
    """The states of the generators that models take numbers from."""
    numpy_state = np.random.get_state(legacy=False)
    states = [random.getstate(), numpy_state["state"]["pos"], numpy_state["state"]["key"].tobytes()]
    if "torch" in sys.modules:
        import torch

        states.append(torch.get_rng_state().numpy().tobytes())
    return states
