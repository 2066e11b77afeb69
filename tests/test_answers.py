"""Right and wrong answers of a small net that is trained here on scikit-learn's digits, through whole trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autotune.core.answers import Accuracy, Fidelity
from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import Value
from autotune.core.workload_spec import DataSpec, WorkloadSpec
from autotune.models import data
from autotune.space.load import load
from autotune.study.ranking import Ranking
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.extra.execute import Told

RULES = MeasureRules(
    block_s=0.03, canary_s=0.01, warmup_s=0.1, measure_s=0.1, min_blocks=1, disturbed_repeats=0, verify_s=60.0
)

NET = """
from pathlib import Path
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(64, 64)
        self.last = torch.nn.Linear(64, 10)

    def forward(self, images):  # after a sine, doubled weights do more than scale
        return {"logits": self.last(torch.sin(3 * self.first(images)))}

def build():
    net = Net()
    net.load_state_dict(torch.load(Path(__file__).parent / "net.pt", weights_only=True))
    return net
"""

TRAIN = """
import torch
from sklearn.datasets import load_digits

sys.path.append(str(folder))
from net import Net

digits = load_digits()
images, labels = (digits.data / 16).astype(np.float32), digits.target
np.savez(folder / "digits.npz", images=images, labels=labels)
np.savez(folder / "numbered.npz", images=images, labels=np.arange(len(labels)))
torch.manual_seed(0)
net = Net()
rows, classes = torch.from_numpy(images), torch.from_numpy(labels)
optimizer = torch.optim.Adam(net.parameters(), 0.01)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(rows[:900])["logits"], classes[:900]).backward()
    optimizer.step()
torch.save(net.state_dict(), folder / "net.pt")
told["right"] = (net(rows)["logits"].argmax(1) == classes).tolist()
"""

CONFIGURATIONS: dict[str, tuple[str, dict[str, Value], int]] = {
    "float32": ("onnxruntime", {"precision": "float32"}, 2),
    "int8": ("onnxruntime", {"precision": "int8"}, 16),
    "doubled": ("sabotaged", {"mode": "doubled"}, 2),
    "blind": ("sabotaged", {"mode": "blind"}, 2),
    "nan": ("sabotaged", {"mode": "nan"}, 2),
}


class Judged:
    """A trial of each configuration, then an interleaved run of one of them."""

    def __init__(self, lab: ExtendedPackage, folder: Path) -> None:
        (folder / "net.py").write_text(NET)
        needed = ("torch", "sklearn", "onnxruntime", "onnxscript")
        self.right: list[bool] = child.told(TRAIN, folder, *needed)["right"]
        self.folder = folder
        source = DataSpec(source=str(folder / "digits.npz"), samples=800)
        self.workload = WorkloadSpec(model=f"python:{folder}/net.py:build", inputs=(), data=source, seed=5)
        specs = [
            lab.spec(backend, options, trial=trial, batch_size=size, workload=self.workload)
            for trial, (backend, options, size) in enumerate(CONFIGURATIONS.values())
        ]
        run = InterleavedSpec(
            number=1,
            workload=self.workload,
            configs={"int8": specs[1].config},
            rounds=2,
            order="a seed",
            folder="sittings/0001",
        )
        trials = [(spec, RULES, None) for spec in specs]
        self.told: Told = lab.run(folder / "study", trials, folder / "cache", runs=[(run, RULES)])

    def result(self, name: str) -> TrialResult:
        return self.told.results[list(CONFIGURATIONS).index(name)]

    def accuracy(self, name: str) -> Accuracy:
        found = self.result(name).accuracy
        assert found is not None
        return found

    def fidelity(self, name: str) -> Fidelity:
        found = self.result(name).fidelity
        assert found is not None and found.judged
        return found


@pytest.fixture(scope="module")
def judged(lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return Judged(lab, tmp_path_factory.mktemp("digits"))


def test_the_reference_is_right_as_often_as_the_trained_net(judged: Judged) -> None:
    source = DataSpec(source=str(judged.folder / "numbered.npz"), samples=800)
    rows = data.load(source, judged.workload.seed).labels
    found = judged.accuracy("float32")
    assert (found.metric, found.samples) == ("accuracy", 800)
    assert found.reference == np.mean([judged.right[row] for row in rows])
    assert found.reference > 0.9


def test_float32_loses_nothing(judged: Judged) -> None:
    found, close = judged.accuracy("float32"), judged.fidelity("float32")
    assert (found.value, found.drop.estimate) == (found.reference, 0)
    assert found.drop.low is not None and found.drop.high is not None
    assert -0.01 < found.drop.low < 0 < found.drop.high < 0.01
    assert (close.top1_agreement, close.noise) == (1, 0)
    assert close.centred_error is not None and close.centred_error < 1e-8


def test_int8_loses_little(judged: Judged) -> None:
    found, close = judged.accuracy("int8"), judged.fidelity("int8")
    assert judged.result("int8").status is Status.OK
    assert found.drop.estimate == pytest.approx(found.reference - found.value)
    assert found.drop.estimate <= 0.01
    assert close.centred_error is not None and 1e-6 < close.centred_error < 0.05
    assert [output.name for output in close.outputs] == ["logits"]  # by position: its own name is another
    assert close.samples == 128


def test_doubled_weights_lose_much(judged: Judged) -> None:
    found, close = judged.accuracy("doubled"), judged.fidelity("doubled")
    assert judged.result("doubled").status is Status.OK
    assert found.drop.estimate > 0.3
    assert found.drop.low is not None and found.drop.low > 0.2
    assert close.centred_error is not None and close.centred_error > 0.1


def test_int8_that_saw_constant_inputs_is_found_out(judged: Judged) -> None:
    close = judged.fidelity("blind")
    assert close.centred_error is not None and close.centred_error > 0.1
    assert judged.accuracy("blind").drop.estimate > judged.accuracy("int8").drop.estimate


def test_answers_that_are_no_numbers_fail_the_trial(judged: Judged) -> None:
    result = judged.result("nan")
    assert (result.status, result.accuracy) == (Status.PREPARE_FAILED, None)
    assert result.error == "ModelError: the first output is NaN for 1 of 2 samples"


def test_a_run_has_the_accuracy_that_the_trial_found(judged: Judged) -> None:
    (run,) = judged.told.runs
    assert run is not None
    assert run.candidates["int8"].accuracy == judged.accuracy("int8")
    model = judged.workload.model
    assert judged.told.preparing.count(f"accuracy of onnxruntime int8 of {model}") == 1
    assert judged.told.preparing.count(f"reference outputs of {model}") == 1


@pytest.mark.parametrize("constraints", ["", "constraints: {accuracy_drop: {max: 0.01}}\n"])
def test_a_space_files_goal_accepts_int8_and_refuses_what_answers_wrongly(
    judged: Judged, lab: ExtendedPackage, constraints: str
) -> None:
    path = judged.folder / "space.yaml"
    path.write_text(
        f"name: digits\nworkload: {{model: 'python:net.py:build', data: digits.npz}}\nsearch: {{}}\n{constraints}"
    )
    ranking = Ranking(judged.told.results, load(path, lab.hardware).goal)
    settled = {name: ranking.settled(judged.result(name)) for name in ("float32", "int8", "doubled", "blind")}
    assert [name for name, result in settled.items() if result.feasible] == ["float32", "int8"]
    without = {one.limit.metric for one in ranking.checks(settled["blind"]) if one.value is None}
    assert without == {"agreement", "neighbours_kept"}  # neither whole numbers nor embeddings
