"""A maker of artifacts that runs nothing, for tests of the cache and of what is kept in it."""

from __future__ import annotations

from pathlib import Path

import filelock

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.protocol import PrepareJob
from autotune.core.rules import MeasureRules
from autotune.core.struct import Value
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import artifacts
from autotune.models.artifact_cache import Artifact, PreparationFailed
from autotune.space import configs
from tests.study import fakes

HW = fakes.machine()
RULES = MeasureRules()
SIZES = {"onnxruntime": 1000, "openvino": 700, None: 50}


class Maker:
    """A `run` that writes files itself, and keeps what it was asked for."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.fail = fail
        self.jobs: list[PrepareJob] = []
        self.said: list[str] = []

    def __call__(self, job: PrepareJob, what: str) -> None:
        self.jobs.append(job)
        self.said.append(what)
        folder = Path(job.folder)
        (folder / "model.bin").write_bytes(bytes(SIZES[job.backend]))
        (folder / "parts").mkdir()
        (folder / "parts" / "weights").write_text(f"{job.backend}")
        if self.fail:
            raise self.fail


def config(
    backend: str = "onnxruntime", batch_size: int = 1, knobs: dict[str, Value] | None = None, **options: Value
) -> Config:
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs or {})


def ensure(
    cache: Path,
    run: artifacts.Run,
    asked: Config | None = None,
    hw: Hardware = HW,
    spec: WorkloadSpec = fakes.WORKLOAD,
) -> Artifact:
    made = artifacts.ensure(spec, asked or config(), hw, RULES, run, cache)
    assert made is not None
    return made


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def failed(message: str = "no such operator: frobnicate", remember: bool = True) -> PreparationFailed:
    return PreparationFailed(message, "Traceback:\n  the whole story\n", remember=remember)


def hold(lock: Path, held, done) -> None:
    with filelock.FileLock(lock):
        held.set()
        done.wait(60)
