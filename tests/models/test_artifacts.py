from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core import plugins
from autotune.core.answers import Accuracy
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.protocol import ACCURACY, PrepareJob
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import DataSpec, WorkloadSpec
from autotune.models import artifacts
from autotune.models.artifact_cache import PreparationFailed
from autotune.models.cache_contents import contents
from tests.models.makers import HW, RULES, Maker, config, ensure, failed, listing
from tests.study import fakes

# ------------------------------------------------------------------------------------------------------ made once


def test_made_once_and_then_cached(tmp_path: Path) -> None:
    run = Maker()
    first, second = ensure(tmp_path, run), ensure(tmp_path, run)
    assert [job.key for job in run.jobs] == [first.ref.key]
    assert first.ref.prepare_s > 0
    assert second == msgspec.structs.replace(first, ref=msgspec.structs.replace(first.ref, prepare_s=0.0))
    assert (Path(second.folder) / "parts" / "weights").read_text() == "onnxruntime"
    assert first.ref.bytes == 1000 + len("onnxruntime")


def test_nothing_is_left_but_the_artifact(tmp_path: Path) -> None:
    made = ensure(tmp_path, Maker())
    key = made.ref.key
    assert listing(tmp_path / "artifacts") == [
        f"{key}/{name}" for name in ("manifest.json", "model.bin", "parts/weights")
    ]
    assert listing(tmp_path / "failures") == listing(tmp_path / "making") == []


def test_the_child_is_told_what_to_make(tmp_path: Path) -> None:
    run = Maker()
    ensure(tmp_path, run)
    (job,) = run.jobs
    assert (job.workload, job.hardware, job.config, job.source) == (fakes.WORKLOAD, HW, config(), None)
    assert run.said == ["onnxruntime float32 of torchvision:resnet18"]


def test_a_backend_that_prepares_nothing_has_no_artifact(tmp_path: Path) -> None:
    run = Maker()
    assert artifacts.ensure(fakes.WORKLOAD, config("torch_eager"), HW, RULES, run, tmp_path) is None
    assert run.jobs == []


def test_what_it_is_made_from_is_made_first(tmp_path: Path) -> None:
    run = Maker()
    made = ensure(tmp_path, run, config("openvino", precision="int8"))
    assert run.said == [
        "onnxruntime float32 of torchvision:resnet18",
        "openvino float32 of torchvision:resnet18",
        "openvino int8 of torchvision:resnet18",
    ]
    onnx, float32 = ensure(tmp_path, run), ensure(tmp_path, run, config("openvino"))
    assert [job.source for job in run.jobs] == [None, onnx.folder, float32.folder]
    assert len({made.ref.key, onnx.ref.key, float32.ref.key}) == 3


def test_reference_outputs_are_an_artifact_too(tmp_path: Path) -> None:
    run = Maker()
    first = artifacts.reference(fakes.WORKLOAD, HW, RULES, run, tmp_path)
    again = artifacts.reference(fakes.WORKLOAD, HW, RULES, run, tmp_path)
    assert (len(run.jobs), run.jobs[0].backend, again.ref.prepare_s) == (1, None, 0.0)
    assert first.folder == again.folder
    more = artifacts.reference(fakes.WORKLOAD, HW, MeasureRules(verify_samples=9), run, tmp_path)
    assert more.ref.key != first.ref.key


# ----------------------------------------------------------------------------------------------- what the key holds


def test_batch_size_and_knobs_share_an_artifact(tmp_path: Path) -> None:
    run = Maker()
    ensure(tmp_path, run)
    ensure(tmp_path, run, config(batch_size=16, knobs={"layout": "2x1", "allocator": "tcmalloc"}))
    assert len(run.jobs) == 1


def test_only_what_the_backend_names_tells_options_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino, run = plugins.load("backends", "openvino"), Maker()
    monkeypatch.setattr(openvino, "cache_key", lambda options, config, hw: ("the same for all",))
    monkeypatch.setattr(openvino, "source", lambda options: None)
    one, other = (ensure(tmp_path, run, config("openvino", precision=name)) for name in ("float32", "int8"))
    assert one.folder == other.folder


def test_precision_tells_artifacts_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.load("backends", "openvino"), "source", lambda options: None)
    hw = msgspec.structs.replace(HW, packages={name: HW.packages[name] for name in HW.packages if name != "nncf"})
    run = Maker()
    one, other = (ensure(tmp_path, run, config("openvino", precision=name), hw) for name in ("float32", "int8"))
    assert one.ref.key != other.ref.key


def test_another_way_of_preparing_makes_all_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Maker()
    for _ in range(2):
        ensure(tmp_path, run)
        artifacts.reference(fakes.WORKLOAD, HW, RULES, run, tmp_path)
        monkeypatch.setattr(artifacts, "PREPARED", artifacts.PREPARED + 1)
    assert len(run.jobs) == 4


def test_another_version_makes_it_again(tmp_path: Path) -> None:
    run = Maker()
    keys = {ensure(tmp_path, run).ref.key}
    for package in ("torch", "torchvision", "onnx", "onnxscript"):
        newer = msgspec.structs.replace(HW, packages=HW.packages | {package: "99"})
        keys.add(ensure(tmp_path, run, hw=newer).ref.key)
    assert len(keys) == 5


def test_another_version_of_the_source_makes_all_again(tmp_path: Path) -> None:
    run = Maker()
    ensure(tmp_path, run, config("openvino", precision="int8"))
    newer = msgspec.structs.replace(HW, packages=HW.packages | {"torch": "99"})
    ensure(tmp_path, run, config("openvino", precision="int8"), newer)
    assert len(run.jobs) == 6


def test_another_workload_is_another_artifact(tmp_path: Path) -> None:
    run = Maker()
    for spec in (fakes.WORKLOAD, msgspec.structs.replace(fakes.WORKLOAD, seed=1)):
        ensure(tmp_path, run, spec=spec)
    for content in (b"one", b"two"):
        weights = tmp_path / content.decode()
        weights.write_bytes(content)
        named = msgspec.structs.replace(fakes.WORKLOAD, options={"weights": str(weights)})
        ensure(tmp_path, run, spec=named)
    assert len(run.jobs) == len(contents(tmp_path)) == 4


def test_other_content_of_the_same_weights_file_is_another_model(tmp_path: Path) -> None:
    weights, run = tmp_path / "weights.pt", Maker()
    named = msgspec.structs.replace(fakes.WORKLOAD, options={"weights": str(weights)})
    for content in (b"one", b"another"):
        weights.write_bytes(content)
        ensure(tmp_path, run, spec=named)
    assert len(run.jobs) == 2


# --------------------------------------------------------------------------------------------------------- accuracy

FOUND = Accuracy(metric="accuracy", samples=10, reference=0.9, value=0.8, drop=Estimate(estimate=0.1, low=0, high=0.2))


class Judge(Maker):
    """A maker that also finds accuracies; `judged` are the jobs for those."""

    def __call__(self, job: PrepareJob, what: str) -> None:
        if not job.reference:
            super().__call__(job, what)
            return
        self.jobs.append(job)
        self.said.append(what)
        (Path(job.folder) / ACCURACY).write_bytes(msgspec.json.encode(FOUND))

    @property
    def judged(self) -> list[PrepareJob]:
        return [job for job in self.jobs if job.reference]


@pytest.fixture
def labelled(tmp_path: Path) -> WorkloadSpec:
    (tmp_path / "data.npz").write_bytes(b"rows")
    return msgspec.structs.replace(fakes.WORKLOAD, inputs=(), data=DataSpec(source=str(tmp_path / "data.npz")))


def accuracy(
    cache: Path, run: Judge, spec: WorkloadSpec, asked: Config | None = None, hw: Hardware = HW
) -> Accuracy | None:
    return artifacts.accuracy(spec, asked or config(), hw, RULES, run, cache)


def test_without_data_there_is_no_accuracy(tmp_path: Path) -> None:
    run = Judge()
    assert accuracy(tmp_path, run, fakes.WORKLOAD) is None
    assert run.jobs == []


def test_accuracy_is_found_once_from_model_and_reference(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    assert accuracy(tmp_path, run, labelled) == accuracy(tmp_path, run, labelled) == FOUND
    assert run.said == [
        "reference outputs of torchvision:resnet18",
        "onnxruntime float32 of torchvision:resnet18",
        "accuracy of onnxruntime float32 of torchvision:resnet18",
    ]
    (job,) = run.judged
    reference = artifacts.reference(labelled, HW, RULES, run, tmp_path)
    assert reference is not None
    assert (job.reference, job.source) == (reference.folder, ensure(tmp_path, run, spec=labelled).folder)
    assert len(run.jobs) == 3


def test_what_changes_no_answer_shares_an_accuracy(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    for knobs in ({}, {"layout": "2x1", "allocator": "tcmalloc", "huge_pages": True}):
        accuracy(tmp_path, run, labelled, config(knobs=knobs))
    (job,) = run.judged
    assert job.config is not None
    assert job.config.knobs == {"layout": "1x2", "fast_math": "strict", "interpreter": "own"}


@pytest.mark.parametrize(
    "asked",
    [
        config(batch_size=4),
        config(graph_level="basic"),
        config(knobs={"fast_math": "bf16"}),
        config("torch_eager"),
        config("openvino"),
    ],
    ids=["batch size", "option", "fast math", "nothing prepared", "backend"],
)
def test_what_changes_answers_is_judged_by_itself(tmp_path: Path, labelled: WorkloadSpec, asked: Config) -> None:
    run = Judge()
    for one in (config(), asked, asked):
        accuracy(tmp_path, run, labelled, one)
    assert len(run.judged) == 2
    assert run.judged[-1].config is not None
    assert run.judged[-1].config.options == asked.options


def test_another_runtime_or_cpu_is_judged_again(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    newer = msgspec.structs.replace(HW, packages=HW.packages | {"onnxruntime": "99"})
    for hw in (HW, newer, msgspec.structs.replace(HW, isa=("avx2",))):
        accuracy(tmp_path, run, labelled, hw=hw)
    assert len(run.judged) == 3
    assert len(run.jobs) == 5  # one reference, one model


def test_another_metric_leaves_the_models(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run, metric = Judge(), tmp_path / "metric.py"
    assert labelled.data is not None
    for content in ("def f(): ...", "def f(): pass"):
        metric.write_text(content)
        data = msgspec.structs.replace(labelled.data, metric=f"{metric}:f")
        accuracy(tmp_path, run, msgspec.structs.replace(labelled, data=data))
    assert [job.backend for job in run.jobs] == [None, "onnxruntime", "onnxruntime", None, "onnxruntime"]
    assert len(run.judged) == 2


def test_other_rows_make_all_again(tmp_path: Path, labelled: WorkloadSpec) -> None:
    run = Judge()
    accuracy(tmp_path, run, labelled)
    (tmp_path / "data.npz").write_bytes(b"other rows")
    accuracy(tmp_path, run, labelled)
    assert len(run.jobs) == 6


def test_a_failure_to_judge_is_remembered(tmp_path: Path, labelled: WorkloadSpec) -> None:
    class Failing(Judge):
        def __call__(self, job: PrepareJob, what: str) -> None:
            super().__call__(job, what)
            if job.reference:
                raise failed("the first output is NaN for 3 of 10 samples")

    run = Failing()
    for _ in range(2):
        with pytest.raises(PreparationFailed, match="the first output is NaN"):
            accuracy(tmp_path, run, labelled)
    assert len(run.judged) == 1
