"""Comparison of one output with a reference, as the tests of its figures need it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autotune.core.answers import Fidelity
from autotune.core.results import Status
from autotune.worker import output_check
from autotune.worker.batches import Arrays
from autotune.worker.check_failed import CheckFailed
from autotune.worker.reference import Reference

REFERENCE = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, -2.0], [0.5, 0.0, 4.0], [-1.0, 2.5, 2.0]], dtype=np.float32)


def alone(wanted: np.ndarray, classes: bool = True) -> Reference:
    """The reference of a model with one output."""
    return Reference((wanted,), ("output",), classes=classes)


def compare(got: np.ndarray, wanted: np.ndarray = REFERENCE, classes: bool = True, **more: Any) -> Fidelity:
    """The fidelity of a model with one output."""
    return output_check.compare((got,), alone(wanted, classes), **{"trained": True} | more)


def wrong(outputs: Arrays, reference: Reference | None = None) -> str:
    """What is wrong with outputs that are."""
    with pytest.raises(CheckFailed) as caught:
        output_check.compare(outputs, reference or alone(REFERENCE), trained=True)
    assert caught.value.status is Status.WRONG_OUTPUT
    return str(caught.value)
