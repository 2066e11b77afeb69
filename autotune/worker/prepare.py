"""Making an artifact in a clean child: reference outputs, or a backend's model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autotune import plugins
from autotune.protocol import PrepareJob
from autotune.rules import MeasureRules
from autotune.types import Config, WorkloadSettings
from autotune.workload import BuiltWorkload

REFERENCE = "reference.npz"


def run(job: PrepareJob) -> None:
    """Fill the job's folder."""
    workload = BuiltWorkload(job.workload)
    folder = Path(job.folder)
    if job.backend is None or job.config is None:
        save_reference(workload, job.rules, folder)
        return
    backend = plugins.load("backends", job.backend)
    options = plugins.backend_options(job.backend, dict(job.config.options))
    source = Path(job.source) if job.source else None
    backend.prepare(workload, options, job.config, job.hardware, folder, source)


def save_reference(workload: BuiltWorkload, rules: MeasureRules, folder: Path) -> None:
    """The float32 eager model's outputs for the first samples, as `output_0`, `output_1` …"""
    backend = plugins.load("backends", "torch_eager")
    options = plugins.backend_options("torch_eager", {})
    config = Config(
        workload=WorkloadSettings(batch_size=rules.verify_samples),
        backend="torch_eager",
        options={},
        knobs={"layout": "1x1"},
    )
    session = backend.load(workload, options, config, None)
    outputs = session.outputs(session(session.convert(workload.arrays(rules.verify_samples))))
    np.savez(folder / REFERENCE, allow_pickle=False, **{f"output_{i}": array for i, array in enumerate(outputs)})
