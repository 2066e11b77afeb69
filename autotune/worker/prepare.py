"""Making an artifact in a clean child: reference outputs, or a backend's model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

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
    """The plain float32 model's outputs for the first samples, and those samples where the space file has no inputs."""
    name = provider(workload.spec).plain
    backend = plugins.load("backends", name)
    options = plugins.backend_options(name, {})
    config = Config(
        workload=WorkloadSettings(batch_size=rules.verify_samples),
        backend=name,
        options=msgspec.structs.asdict(options),
        knobs={"layout": "1x1"},
    )
    samples = workload.arrays(rules.verify_samples)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        if backend.cache_key(options, config, hw) is not None:
            backend.prepare(workload, options, config, hw, Path(made), None)
        session = backend.load(workload, options, config, Path(made))
        outputs = session.outputs(session(session.convert(samples)))
    save_arrays(folder / REFERENCE, outputs)
    if not workload.spec.inputs:
        save_arrays(folder / EXAMPLES, samples)
