from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.core.config import Config
from autotune.core.protocol import ROWS, Prepared, PrepareJob, Rows
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.struct import Value
from autotune.core.workload_spec import DataSpec, WorkloadSpec
from autotune.launch.worker_pool import WorkerFailed
from autotune.worker import prepare as making
from autotune.worker.reference import read_reference
from tests.conftest import TINY, ExtendedPackage


def asked(
    lab: ExtendedPackage, folder: Path, backend: str | None = None, workload: WorkloadSpec = TINY, **options: Value
) -> PrepareJob:
    config: Config | None = lab.spec(backend, options).config if backend else None
    folder.mkdir()
    return PrepareJob(
        key="toy",
        workload=workload,
        hardware=lab.hardware,
        rules=lab.rules,
        folder=str(folder),
        backend=backend,
        config=config,
    )


def prepare(lab: ExtendedPackage, folder: Path, job: PrepareJob) -> None:
    with lab.worker(job, folder) as workers:
        assert workers.gather(60, "preparing") == [Prepared()]


@pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")
def test_reference_outputs_are_those_of_the_seed(lab: ExtendedPackage, tmp_path: Path) -> None:
    outputs = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        seeded = msgspec.structs.replace(TINY, seed=seed)
        prepare(lab, tmp_path, asked(lab, tmp_path / name, workload=seeded))
        reference = read_reference(tmp_path / name)
        assert reference.names == ("output",)
        assert reference.noise is not None and reference.noise < 1e-9
        outputs.append(reference.outputs[0])
    fewest = min(map(len, outputs))  # as many as a busy machine finds the time for
    one, two, three = (rows[:fewest] for rows in outputs)
    assert (one.shape[1:], one.dtype) == ((4,), np.float32)
    assert lab.rules.verify_samples <= len(one) <= lab.rules.verify_most
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert not np.allclose(one, three, rtol=0.1)
    assert not np.allclose(one[0], one[1], rtol=0.01)  # samples differ


def test_a_backend_fills_the_folder(lab: ExtendedPackage, tmp_path: Path) -> None:
    prepare(lab, tmp_path, asked(lab, tmp_path / "made", "faulty", mode="artifact"))
    assert (tmp_path / "made" / "model.bin").read_bytes() == b"prepared by faulty"


def test_a_failure_is_told_in_one_line(lab: ExtendedPackage, tmp_path: Path) -> None:
    job = asked(lab, tmp_path / "made", "faulty", mode="prepare_error")
    with pytest.raises(WorkerFailed) as caught, lab.worker(job, tmp_path) as workers:
        workers.gather(60, "preparing")
    assert (caught.value.status, str(caught.value)) == (
        Status.PREPARE_FAILED,
        "RuntimeError: no such operator: frobnicate",
    )
    assert "and a second line" in (tmp_path / "stderr.log").read_text()


def test_a_provider_that_does_not_exist_is_named(lab: ExtendedPackage, tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(TINY, model="tony:conv")
    job = asked(lab, tmp_path / "made", "faulty", wrong, mode="artifact")
    job = msgspec.structs.replace(job, backend=None)
    with (
        pytest.raises(WorkerFailed, match="unknown workload 'tony'; did you mean 'tiny'") as caught,
        lab.worker(job, tmp_path) as workers,
    ):
        workers.gather(60, "preparing")
    assert caught.value.status is Status.PREPARE_FAILED


# ------------------------------------------------------------------------------------------------------ the reference


def numbered(count: int) -> tuple[np.ndarray[Any, Any], ...]:
    return np.arange(count * 3.0).reshape(count, 3), np.arange(count)


@pytest.mark.parametrize(
    ("seconds", "rules", "batches"),
    [
        (0.01, MeasureRules(), 15),  # 128 samples
        (1.0, MeasureRules(), 3),  # 4 seconds
        (5.0, MeasureRules(), 0),
        (0.0, MeasureRules(verify_bytes=5 * 8 * (3 + 1 + 2) * 8), 4),
        (0.0, MeasureRules(verify_most=7), 0),
    ],
)
def test_more_samples_follow_as_long_as_they_are_quick_and_small(
    seconds: float, rules: MeasureRules, batches: int
) -> None:
    first = [numbered(8)]
    found = making.further(numbered, first, (0, 0), (np.zeros((8, 2)),), seconds, rules)
    assert len(found) == batches
    rows = [np.concatenate(arrays) for arrays in zip(*[*first, *found], strict=True)]
    for row, wanted in zip(rows, numbered(8 * (1 + batches)), strict=True):
        np.testing.assert_array_equal(row, wanted)


@pytest.mark.parametrize(("distinct", "batches"), [(8, 0), (20, 2), (24, 2), (3, 0)])
def test_samples_that_come_again_are_not_compared_again(distinct: int, batches: int) -> None:
    def again(count: int) -> tuple[np.ndarray[Any, Any], ...]:
        return (np.arange(count) % distinct,)

    assert len(making.further(again, [again(8)], (0,), (np.zeros((8, 2)),), 0.01, MeasureRules())) == batches


@pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")
def test_a_model_that_is_not_deterministic_is_noticed(lab: ExtendedPackage, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import torch\n"
        "class Noisy(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return {'scores': x.flatten(1) + torch.randn(len(x), 768)}\n"
        "def build():\n"
        "    return Noisy(), torch.randn(8, 3, 16, 16)\n"
    )
    noisy = WorkloadSpec(model=f"python:{tmp_path}/noisy.py:build", inputs=())
    prepare(lab, tmp_path, asked(lab, tmp_path / "made", workload=noisy))
    reference = read_reference(tmp_path / "made")
    assert reference.names == ("scores",)
    assert (
        reference.noise is not None and 0.5 < reference.noise < 8
    )  # two draws of noise, over data and one of them, the worst channel


@pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")
@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("accuracy", "ModelError: label 4 is none of the model's 4 classes; they are 0 to 3"),
        ("{folder}/own.py:score", "ModelError: metric {folder}/own.py:score raised ValueError: never heard of it"),
    ],
)
def test_data_that_the_reference_cannot_be_judged_on_is_said(
    lab: ExtendedPackage, tmp_path: Path, metric: str, message: str
) -> None:
    np.savez(tmp_path / "data.npz", images=np.ones((20, 3, 16, 16), np.float32), labels=np.full(20, 4))
    (tmp_path / "own.py").write_text("def score(outputs, labels):\n    raise ValueError('never heard of it')\n")
    data = DataSpec(source=str(tmp_path / "data.npz"), metric=metric.format(folder=tmp_path))
    job = asked(lab, tmp_path / "made", workload=msgspec.structs.replace(TINY, inputs=(), data=data))
    with pytest.raises(WorkerFailed) as caught, lab.worker(job, tmp_path) as workers:
        workers.gather(60, "preparing")
    assert (caught.value.status, str(caught.value)) == (Status.PREPARE_FAILED, message.format(folder=tmp_path))


@pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")
@pytest.mark.parametrize(("value", "refused"), [("nan", True), ("inf", False)])
def test_a_reference_that_is_no_number_is_refused(
    lab: ExtendedPackage, tmp_path: Path, value: str, refused: bool
) -> None:
    (tmp_path / "odd.py").write_text(
        "import torch\n"
        "class Odd(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        scores = x.flatten(1)\n"
        f"        return {{'scores': torch.where(scores == 100, float('{value}'), scores)}}\n"
        "def build():\n"
        "    images = torch.randn(8, 3, 16, 16)\n"
        "    images[1, 0, 0, 3] = 100\n"
        "    return Odd(), images\n"
    )
    odd = WorkloadSpec(model=f"python:{tmp_path}/odd.py:build", inputs=())
    job = asked(lab, tmp_path / "made", workload=odd)
    if not refused:
        return prepare(lab, tmp_path, job)
    with pytest.raises(WorkerFailed) as caught, lab.worker(job, tmp_path) as workers:
        workers.gather(60, "preparing")
    assert str(caught.value) == (
        "ModelError: output 'scores' of the float32 model is nan in sample 2 at [3]; 2 values are NaN; nothing can be "
        "compared with it: mend the model or its inputs"
    )


@pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")
def test_the_real_rows_are_counted_and_a_function_must_give_the_same_ones(lab: ExtendedPackage, tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text(
        "import numpy as np\n"
        "def same():\n"
        "    return np.random.default_rng(1).standard_normal((12, 3, 16, 16), dtype=np.float32)\n"
        "def other():\n"
        "    return np.random.standard_normal((12, 3, 16, 16)).astype(np.float32)\n"
    )
    counted = []
    for number, source in enumerate((None, "same", "other")):
        data = None if source is None else DataSpec(source=f"{tmp_path}/rows.py:{source}", metric=None)
        model = TINY if data is None else msgspec.structs.replace(TINY, inputs=(), data=data)
        job = asked(lab, tmp_path / str(number), workload=model)
        if source == "other":
            with pytest.raises(WorkerFailed) as caught, lab.worker(job, tmp_path) as workers:
                workers.gather(60, "preparing")
            assert "rows.py:other gives other rows at its second call; let it give the same each" in str(caught.value)
        else:
            prepare(lab, tmp_path, job)
            counted.append(msgspec.json.decode((tmp_path / str(number) / ROWS).read_bytes(), type=Rows).different)
    assert counted == [0, 12]


def test_the_source_or_the_labels_say_whether_outputs_are_classes() -> None:
    own = WorkloadSpec(model="python:net.py:build", inputs=())
    assert making.classifies(WorkloadSpec(model="torchvision:resnet18", inputs=()))
    assert not making.classifies(own)
    for metric, labelled in (("accuracy", True), ("f1", True), ("own.py:score", False)):
        data = DataSpec(source="data.npz", metric=metric)
        assert making.classifies(msgspec.structs.replace(own, data=data)) is labelled
    for head, classifier in (("mean", False), ("sequence_classification", True)):
        text = WorkloadSpec(model="transformers:mpnet", options={"head": head}, inputs=())
        assert making.classifies(text) is classifier
