from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autotune.launch.process import WorkerFailed
from autotune.protocol import Prepared, PrepareJob
from autotune.results import Status
from autotune.types import Config, Value, WorkloadSpec
from autotune.worker.prepare import REFERENCE
from autotune.workload import load_arrays
from tests.conftest import TINY, Lab


def asked(
    lab: Lab, folder: Path, backend: str | None = None, workload: WorkloadSpec = TINY, **options: Value
) -> PrepareJob:
    config: Config | None = lab.spec(backend, options).config if backend else None
    folder.mkdir()
    return PrepareJob(
        workload=workload, hardware=lab.hardware, rules=lab.rules, folder=str(folder), backend=backend, config=config
    )


def prepare(lab: Lab, folder: Path, job: PrepareJob) -> None:
    with lab.worker(job, folder) as workers:
        assert workers.gather(60, "preparing") == [Prepared()]


@pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")
def test_reference_outputs_are_those_of_the_seed(lab: Lab, tmp_path: Path) -> None:
    outputs = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        seeded = msgspec.structs.replace(TINY, seed=seed)
        prepare(lab, tmp_path, asked(lab, tmp_path / name, workload=seeded))
        (output,) = load_arrays(tmp_path / name / REFERENCE)
        outputs.append(output)
    one, two, three = outputs
    assert (one.shape, one.dtype) == ((lab.rules.verify_samples, 4), np.float32)
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert not np.allclose(one, three, rtol=0.1)
    assert not np.allclose(one[0], one[1], rtol=0.01)  # samples differ


def test_a_backend_fills_the_folder(lab: Lab, tmp_path: Path) -> None:
    prepare(lab, tmp_path, asked(lab, tmp_path / "made", "faulty", mode="artifact"))
    assert (tmp_path / "made" / "model.bin").read_bytes() == b"prepared by faulty"


def test_a_failure_is_told_in_one_line(lab: Lab, tmp_path: Path) -> None:
    job = asked(lab, tmp_path / "made", "faulty", mode="prepare_error")
    with pytest.raises(WorkerFailed) as caught, lab.worker(job, tmp_path) as workers:
        workers.gather(60, "preparing")
    assert (caught.value.status, str(caught.value)) == (
        Status.PREPARE_FAILED,
        "RuntimeError: no such operator: frobnicate",
    )
    assert "and a second line" in (tmp_path / "stderr.log").read_text()


def test_a_provider_that_does_not_exist_is_named(lab: Lab, tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(TINY, model="tony:conv")
    job = asked(lab, tmp_path / "made", "faulty", wrong, mode="artifact")
    job = msgspec.structs.replace(job, backend=None)
    with (
        pytest.raises(WorkerFailed, match="unknown workload 'tony'; did you mean 'tiny'") as caught,
        lab.worker(job, tmp_path) as workers,
    ):
        workers.gather(60, "preparing")
    assert caught.value.status is Status.PREPARE_FAILED
