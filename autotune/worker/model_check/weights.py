"""Weights that hold NaN or Inf, so many denormal numbers that a CPU computes slowly with them, or a file's in half."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autotune.core.finding import Finding
from autotune.worker.model_check.subject import Array, Outputs, Subject

SHARE = 1e-3
"""The share of denormal weights above which it is said."""

LOOKED_AT = 2**22
"""The most values of one weight of which the denormal ones are counted."""


def find(subject: Subject, outputs: Outputs, file: Path | None) -> Iterator[Finding]:
    """What is said of the weights of the module, or of an ONNX file; `outputs` are those of a call."""
    denormal, looked, worst = 0, 0, (0.0, "")
    values = half = 0
    for name, weight in _weights(subject.module, file):
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(weight.sum(dtype=np.float32))
        if not np.isfinite(total) and (found := _not_finite(name, weight, outputs)):
            yield found
        values += weight.size
        if weight.dtype == np.float16:  # whose denormal numbers are normal ones once they are computed with
            half += weight.size
            continue
        part = np.abs(weight.reshape(-1)[:LOOKED_AT])
        count = int(((part > 0) & (part < np.finfo(weight.dtype).tiny)).sum())
        denormal, looked = denormal + count, looked + part.size
        worst = max(worst, (count / max(part.size, 1), name))
    if subject.module is None and half > values / 2:
        yield Finding(
            what="the file's weights are float16 and are kept: what is called float32 here is that",
            instead="give a float32 file to compare with float32",
        )
    if looked and denormal / looked > SHARE:
        yield Finding(
            what=f"{denormal / looked:.1%} of the weights are denormal numbers, which many CPUs are slow with",
            where=f"most of all {worst[1]}",
            instead="write denormals_as_zero: [true] for onnxruntime, or call torch.set_flush_denormal(True)",
        )


def _not_finite(name: str, weight: Array, outputs: Outputs) -> Finding | None:
    """An error for NaN, and for Inf that reaches an output; of other Inf, which may be a mask, a notice."""
    missing, infinite = int(np.isnan(weight).sum()), int(np.isinf(weight).sum())
    if not missing and not infinite:
        return None
    reached = any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in outputs.values())
    return Finding(
        what=f"weight {name} holds {'NaN' if missing else 'Inf'} in {missing or infinite} of {weight.size} places",
        instead="load or train it again",
        severity="error" if missing or reached else "notice",
    )


def _weights(module: Any, file: Path | None) -> Iterator[tuple[str, Array]]:
    """The weights in floats by name; a module's buffers, such as running means, are some too."""
    if module is not None:
        import torch

        for name, weight in (*module.named_parameters(), *module.named_buffers()):
            if weight.is_floating_point() and weight.layout is torch.strided:
                plain = weight.detach()
                yield name, (plain.float() if plain.dtype is torch.bfloat16 else plain).numpy()
    elif file is not None:
        import onnx
        from onnx import numpy_helper

        for tensor in onnx.load(file, load_external_data=False).graph.initializer:
            array = numpy_helper.to_array(tensor, str(file.parent))
            if array.dtype.kind == "f":
                yield tensor.name, array
