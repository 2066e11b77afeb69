"""Making an artifact in a clean child: reference outputs, or a backend's model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from autotune import plugins
from autotune.protocol import PrepareJob
from autotune.rules import MeasureRules
from autotune.types import Config, Hardware, WorkloadSettings
from autotune.workload import BuiltWorkload, provider, save_arrays

REFERENCE = "reference.npz"
EXAMPLES = "examples.npz"


def run(job: PrepareJob) -> None:
    """Fill the job's folder."""
    workload = BuiltWorkload(job.workload)
    folder = Path(job.folder)
    if job.backend is None or job.config is None:
        save_reference(workload, job.hardware, job.rules, folder)
        return
    backend = plugins.load("backends", job.backend)
    options = plugins.backend_options(job.backend, dict(job.config.options))
    source = Path(job.source) if job.source else None
    backend.prepare(workload, options, job.config, job.hardware, folder, source)


def save_reference(workload: BuiltWorkload, hw: Hardware, rules: MeasureRules, folder: Path) -> None:
    """The plain float32 model's outputs for the first samples, and those samples where the space file has no inputs.

    A model that takes only batches of one size is called as often as needed.
    """
    source: Any = provider(workload.spec)
    name = source.plain
    backend = plugins.load("backends", name)
    options = plugins.backend_options(name, {})
    fixed = source.fixed_batch(workload.spec.name) if hasattr(source, "fixed_batch") else None
    size = fixed or rules.verify_samples
    config = Config(
        workload=WorkloadSettings(batch_size=size),
        backend=name,
        options=msgspec.structs.asdict(options),
        knobs={"layout": "1x1"},
    )
    batches = split(workload.arrays, size, rules.verify_samples)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        if backend.cache_key(options, config, hw) is not None:
            backend.prepare(workload, options, config, hw, Path(made), None)
        session = backend.load(workload, options, config, Path(made))
        outputs = [session.outputs(session(session.convert(batch))) for batch in batches]
    save_arrays(folder / REFERENCE, joined(outputs))
    if not workload.spec.inputs:
        save_arrays(folder / EXAMPLES, joined(batches))


def split(arrays: Any, size: int, samples: int) -> list[tuple[np.ndarray[Any, Any], ...]]:
    """Batches of `size` rows that together hold at least `samples` rows; the first is the batch to measure."""
    count = -(-samples // size)
    whole = arrays(count * size)
    return [tuple(np.ascontiguousarray(a[i * size : (i + 1) * size]) for a in whole) for i in range(count)]


def joined(parts: Sequence[tuple[np.ndarray[Any, Any], ...]]) -> tuple[np.ndarray[Any, Any], ...]:
    """The rows of several batches as those of one."""
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
