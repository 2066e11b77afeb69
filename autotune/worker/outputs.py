"""Checks on a loaded model before it is measured: are its answers right, and did its settings take effect?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.interfaces import Session
from autotune.core.machine import Hardware
from autotune.core.results import Fidelity, OutputFidelity, Status
from autotune.knobs import layout
from autotune.worker.failure import CheckFailed

Arrays = tuple[np.ndarray[Any, Any], ...]

LONE = "output"
"""The name of an output that is all that a model returns."""

MASKED = 1e30
"""Larger values stand for minus infinity: a mask is often the least number of its type."""

ROUNDING = 1e-12
"""Variation below this part of the outputs' energy is float32's rounding."""

NOISE = 0.01
"""The centred error of a model against itself above which a comparison says nothing of a configuration."""


class Reference(NamedTuple):
    """The plain float32 model's outputs for the first samples, with their names.

    `noise` is the centred error between two runs of it; None where nothing varies. `classes` says whether rows of
    numbers are scores of classes, of which the largest is the answer.
    """

    outputs: Arrays
    names: tuple[str, ...]
    noise: float | None = None
    classes: bool = False


def compare(outputs: Arrays, reference: Reference, trained: bool, samples: int | None = None) -> Fidelity:
    """How close the outputs for the first samples (None: all of the reference) are to it; the worst of each figure.

    CheckFailed with wrong_output, which names the output, on NaN, Inf where the reference is finite, another shape or
    another number of outputs.
    """
    if len(outputs) != len(reference.outputs):
        wanted = f"{len(reference.outputs)}: {', '.join(reference.names)}"
        raise CheckFailed(Status.WRONG_OUTPUT, f"{len(outputs)} outputs; the reference has {wanted}")
    count = len(reference.outputs[0][:samples])
    named = zip(reference.names, outputs, reference.outputs, strict=True)
    found = tuple(closeness(name, got[:count], wanted, count, reference.classes) for name, got, wanted in named)
    reason = unjudged(found, reference, trained)
    return Fidelity(
        judged=reason is None,
        samples=count,
        cosine_similarity=min(one.cosine_similarity for one in found),
        centred_error=_worst(max, (one.centred_error for one in found)),
        max_abs_error=max(one.max_abs_error for one in found),
        max_rel_error=_worst(max, (one.max_rel_error for one in found)),
        top1_agreement=_worst(min, (one.top1_agreement for one in found)),
        outputs=found,
        reason=reason,
        noise=reference.noise,
    )


def unjudged(found: Iterable[OutputFidelity], reference: Reference, trained: bool) -> str | None:
    """Why the figures say nothing of a configuration, or None."""
    if not trained:
        return "with random weights outputs hardly depend on the input"
    if all(one.centred_error is None for one in found):
        return "the outputs do not vary between inputs"
    if reference.noise is not None and reference.noise > NOISE:
        return f"the float32 model differs from itself by {reference.noise:.1%} of the variation between inputs"
    return None


def closeness(
    name: str, got: np.ndarray[Any, Any], reference: np.ndarray[Any, Any], samples: int, classes: bool
) -> OutputFidelity:
    """One output for the first samples, row by row; what is not finite in the reference is left out.

    `cosine_similarity` is the least over samples; `centred_error` is the error's energy over that of the variation
    between samples, each a row: that of all rows of the reference, however few are compared.
    """
    wanted = reference[:samples]
    if got.shape != wanted.shape:
        raise CheckFailed(Status.WRONG_OUTPUT, f"{said(name)} has shape {got.shape}, the reference {wanted.shape}")
    if reason := _not_finite(got, wanted):
        raise CheckFailed(Status.WRONG_OUTPUT, f"{said(name)} {reason}")
    cosines, error_energy, worst, agreed = [1.0], 0.0, 0.0, 0
    ranked = classes and wanted.ndim == 2 and wanted.shape[1] >= 2 and wanted.dtype.kind == "f"
    for got_row, wanted_row in zip(got, wanted, strict=True):
        right, kept = _finite(wanted_row)
        mine = np.where(kept, _flat(got_row), 0.0)
        error = mine - right
        error_energy += float(error @ error)
        worst = max(worst, float(np.abs(error).max(initial=0.0)))
        cosines.append(_cosine(mine, right))
        if ranked:
            agreed += int(np.where(kept, mine, -np.inf).argmax() == np.where(kept, right, -np.inf).argmax())
    largest = max((float(np.abs(_finite(row)[0]).max(initial=0.0)) for row in reference), default=0.0)
    varies = variation(reference)
    return OutputFidelity(
        name=name,
        cosine_similarity=min(cosines),
        centred_error=error_energy / len(got) / varies if varies > 0 else None,
        max_abs_error=worst,
        max_rel_error=worst / largest if largest > 0 else None,
        top1_agreement=agreed / len(got) if ranked else None,
    )


def variation(reference: np.ndarray[Any, Any]) -> float:
    """The energy of the variation between samples, a row; 0 where it is no more than rounding."""
    mean = sum(_finite(row)[0] for row in reference) / len(reference)
    varies, energy = 0.0, 0.0
    for row in reference:
        values, _ = _finite(row)
        varies += float(((values - mean) ** 2).sum())
        energy += float((values**2).sum())
    return varies / len(reference) if varies > ROUNDING * energy else 0.0


def said(name: str) -> str:
    """An output as messages call it."""
    return "the output" if name == LONE else f"output {name!r}"


def _not_finite(got: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> str | None:
    """Where the first value is that should be finite and is not, and how many there are; or None."""
    first, count = "", 0
    for sample, (got_row, wanted_row) in enumerate(zip(got, wanted, strict=True)):
        values = _flat(got_row)
        if np.isfinite(values).all():
            continue
        wrong = np.flatnonzero(np.isnan(values) | (_finite(wanted_row)[1] & ~np.isfinite(values)))
        if len(wrong) and not count:
            place = np.unravel_index(wrong[0], np.shape(got_row))
            first = f"is {values[wrong[0]]} in {_place(sample, *place)}"
        count += len(wrong)
    return f"{first}; {count} values are NaN, or Inf where the reference is finite" if count else None


def not_a_number(outputs: np.ndarray[Any, Any]) -> str | None:
    """Where the first NaN of an output is, in words, and how many there are; or None."""
    found = np.argwhere(np.isnan(outputs))
    return f"is nan in {_place(*found[0])}; {len(found)} values are NaN" if len(found) else None


def _place(sample: int, *index: int) -> str:
    return f"sample {sample}" + (f" at {[int(part) for part in index]}" if index else "")


def _flat(row: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(row).astype(np.float64).ravel()


def _finite(row: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A row with 0 in place of what is not finite, and where it is."""
    values = _flat(row)
    kept = np.abs(values) < MASKED
    return np.where(kept, values, 0.0), kept


def _cosine(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The cosine similarity; 1 of two rows of zeros, 0 of such a row and another."""
    norms = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if 0.0 in norms:
        return 1.0 if norms[0] == norms[1] else 0.0
    return float(one @ other) / (norms[0] * norms[1])


def _worst(pick: Callable[..., float], figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return pick(known) if known else None


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
