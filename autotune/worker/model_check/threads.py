"""Threads and variables that the model's own code sets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from autotune.core.finding import Finding
from autotune.worker.batches import Arrays
from autotune.worker.model_check import own_code
from autotune.worker.model_check.subject import Subject

VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "MALLOC_", "LD_PRELOAD")
"""The beginnings of variables that say how a process computes."""


def now(subject: Subject) -> int:
    """The number of threads that torch computes with; 0 where another runtime holds the model."""
    if subject.module is None:
        return 0
    import torch

    return int(torch.get_num_threads())


def find(subject: Subject, batch: Arrays, threads: int) -> Finding | None:
    """An error where calls left torch on another number of threads than so many; None where they did not."""
    if (left := now(subject)) == threads:
        return None
    import torch

    torch.set_num_threads(threads)
    lines: list[str | None] = []
    set_num_threads = torch.set_num_threads

    def watched(number: int) -> Any:
        lines.append(own_code.line())
        return set_num_threads(number)

    torch.set_num_threads = watched
    try:
        subject.call(batch)
    finally:
        torch.set_num_threads = set_num_threads
        torch.set_num_threads(threads)
    return Finding(
        what=f"the model's own code sets the number of threads, to {left}, whenever it is called",
        where=lines[0] if lines else None,
        instead="remove that; the space file's threads say how many there are",
        severity="error",
    )


def variables(before: Mapping[str, str]) -> Iterator[Finding]:
    """A notice for each variable on computing that differs from the environment as it was before the model's code."""
    for name, value in os.environ.items():
        if name.startswith(VARIABLES) and before.get(name) != value:
            yield Finding(
                what=f"the model's own code sets {name}={value}, too late for what is measured",
                instead="remove that; a space file has knobs for such settings",
            )
