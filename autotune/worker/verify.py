"""Checks on a loaded model before it is measured: are its answers right, and did its settings take effect?"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotune import plugins
from autotune.interfaces import Session
from autotune.knobs import layout
from autotune.results import Fidelity, Status
from autotune.types import Config, Hardware
from autotune.worker.failure import CheckFailed

Arrays = tuple[np.ndarray[Any, Any], ...]


def compare(outputs: Arrays, reference: Arrays, judged: bool) -> Fidelity:
    """How close outputs are to the reference, row by row of the first samples.

    `cosine_similarity` is the least over samples; `centred_error` is the error's energy over that of the variation
    between samples (None where outputs do not vary). Values that are not finite in the reference (a mask's -inf) are
    left out; CheckFailed with wrong_output on another NaN or Inf, or another shape.
    """
    if len(outputs) != len(reference):
        raise CheckFailed(Status.WRONG_OUTPUT, f"{len(outputs)} outputs; the reference has {len(reference)}")
    for index, (got, wanted) in enumerate(zip(outputs, reference, strict=True)):
        if got.shape != wanted.shape:
            raise CheckFailed(
                Status.WRONG_OUTPUT, f"output {index} has shape {got.shape}, the reference {wanted.shape}"
            )
        wrong = ~np.isfinite(got) & np.isfinite(wanted)
        if wrong.any():
            raise CheckFailed(Status.WRONG_OUTPUT, f"output {index} has {int(wrong.sum())} values that are NaN or Inf")
    finite = _rows(tuple(np.isfinite(array) for array in reference)) > 0
    got, wanted = (np.where(finite, _rows(arrays), 0.0) for arrays in (outputs, reference))
    error = got - wanted
    norms = np.linalg.norm(got, axis=1) * np.linalg.norm(wanted, axis=1)
    cosines = np.divide((got * wanted).sum(axis=1), norms, out=np.ones_like(norms), where=norms > 0)
    variation = float(((wanted - wanted.mean(axis=0)) ** 2).sum())
    return Fidelity(
        judged=judged and variation > 0,
        samples=len(wanted),
        cosine_similarity=float(cosines.min()),
        centred_error=float((error**2).sum()) / variation if variation > 0 else None,
        max_abs_error=float(np.abs(error).max()),
    )


def _rows(arrays: Arrays) -> np.ndarray[Any, Any]:
    """All outputs side by side, one row a sample."""
    return np.concatenate([array.astype(np.float64).reshape(len(array), -1) for array in arrays], axis=1)


def applied(session: Session, config: Config, hw: Hardware, cpus: tuple[int, ...]) -> None:
    """CheckFailed with not_applied, naming the setting, unless every knob and the backend prove theirs.

    `cpus` are those that the worker was given, which no thread of it may leave.
    """
    if astray := layout.reach() - set(cpus):
        raise CheckFailed(Status.NOT_APPLIED, f"layout: a thread of the worker may also run on CPUs {sorted(astray)}")
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    reasons = [(name, plugins.load("knobs", name).applied(value, hw)) for name, value in config.knobs.items()]
    for name, reason in [*reasons, (config.backend, backend.applied(session, options, config))]:
        if reason is not None:
            raise CheckFailed(Status.NOT_APPLIED, f"{name}: {reason}")
