from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.core.machine import Hardware
from autotune.core.protocol import MeasureJob
from autotune.core.results import Status, TrialResult
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, ServingSpec, WorkloadSpec
from autotune.launch.local_executor import LocalExecutor
from autotune.models import cache_contents
from autotune.space import configs
from tests.conftest import TINY, ExtendedPackage
from tests.extra.execute import Listener, Told
from tests.launch.trials import rules, written

FRAMEWORKS = {"torch", "torchvision", "onnxruntime", "onnx", "openvino", "nncf"}
COORDINATORS_OWN = {"optuna", "typer", "rich", "yaml"}
SQUEEZENET = WorkloadSpec(model="torchvision:squeezenet1_1", inputs=(InputSpec(shape=("batch", 3, 32, 32)),))

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")


def calls(folder: Path) -> np.ndarray:
    """Rows of (rank, block, latency_ns, count)."""
    return np.load(folder / "latencies.npy", allow_pickle=False)


# --------------------------------------------------------------------------------------------------- a whole trial


class Squeezenet:
    """The plain configuration of a real model, run once by this very process."""

    def __init__(self, root: Path, cache: Path, hw: Hardware) -> None:
        self.listener = Listener()
        self.cache = cache
        self.config = configs.configure(hw, batch_size=2, backend="torch_eager")
        self.spec = TrialSpec(id=3, workload=SQUEEZENET, config=self.config, folder="trials/00003")
        self.root = root
        with LocalExecutor(hw, root, cache, self.listener) as machine:
            machine.check(SQUEEZENET, rules())
            self.result = machine.execute(self.spec, rules(), None)

    @property
    def folder(self) -> Path:
        return self.root / self.spec.folder

    @property
    def cpus(self) -> set[int]:
        job = msgspec.json.decode((self.folder / "job.json").read_bytes(), type=MeasureJob)
        return {cpu for placement in job.placements for cpu in placement.cpus}


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory, this_machine: Hardware) -> Squeezenet:
    if find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    folder = tmp_path_factory.mktemp("squeezenet")
    return Squeezenet(folder / "study", folder / "cache", this_machine)


def test_a_real_model_is_measured(squeezenet: Squeezenet, this_machine: Hardware) -> None:
    result = squeezenet.result
    assert (result.status, result.error, result.feasible) == (Status.OK, None, True)
    assert result.blocks and result.warmup
    assert all(block.items > 0 and block.cpu_ns > 0 for block in result.blocks)
    assert result.load_s is not None and result.setup_s is not None
    assert 0 < result.load_s < result.setup_s < result.wall_s
    assert result.peak_rss_bytes is not None and result.peak_rss_bytes > 50_000_000
    assert result.versions["torch"] == this_machine.packages["torch"]
    assert result.fingerprint == this_machine.fingerprint
    assert result.started.endswith("+00:00")


def test_its_outputs_are_the_references_own(squeezenet: Squeezenet) -> None:
    fidelity = squeezenet.result.fidelity
    assert fidelity is not None
    assert fidelity.cosine_similarity == pytest.approx(1.0)
    assert fidelity.max_abs_error < 1e-5
    assert fidelity.samples >= 8
    assert not fidelity.judged  # its weights are random


def test_the_result_on_disk_is_the_one_returned(squeezenet: Squeezenet) -> None:
    assert written(squeezenet.root, squeezenet.spec) == squeezenet.result
    assert (squeezenet.folder / "result.json").stat().st_size < 64 * 1024
    spec = msgspec.json.decode((squeezenet.folder / "spec.json").read_bytes(), type=TrialSpec)
    assert spec == squeezenet.spec == squeezenet.result.spec


def test_the_folder_can_be_moved(squeezenet: Squeezenet) -> None:
    text = (squeezenet.folder / "result.json").read_text()
    assert json.loads(text)["spec"]["folder"] == "trials/00003"
    assert str(squeezenet.root) not in text


def test_latencies_agree_with_the_blocks(squeezenet: Squeezenet) -> None:
    rows = calls(squeezenet.folder)
    result = squeezenet.result
    blocks = [*result.warmup, *result.blocks, *result.repeated]
    assert rows.shape[1] == 4
    assert set(rows[:, 0]) == {0}
    assert {block.number for block in blocks if block.calls} <= set(rows[:, 1])
    for block in blocks:
        own = rows[rows[:, 1] == block.number]
        assert own[:, 3].sum() == block.calls
        # the calls at both edges count in part
        assert abs(block.items / result.spec.config.workload.batch_size - block.calls) <= 1
        assert (own[:, 2] > 0).all()


def test_every_block_knows_how_the_machine_was(squeezenet: Squeezenet) -> None:
    assert not any(flag.startswith("no_canary") for flag in squeezenet.result.flags)
    for block in [*squeezenet.result.warmup, *squeezenet.result.blocks]:
        assert block.canary is not None and block.interference is not None
        assert block.canary.cores == len(squeezenet.cpus)
        assert all(rate > 0 for rate in block.canary.parts.values())
    numbers = [block.number for block in [*squeezenet.result.warmup, *squeezenet.result.blocks]]
    assert numbers == sorted(set(numbers))


def test_a_folder_holds_nothing_temporary(squeezenet: Squeezenet) -> None:
    assert sorted(path.name for path in squeezenet.folder.iterdir()) == [
        "job.json",
        "latencies.npy",
        "result.json",
        "spec.json",
        "stderr.log",
        "stdout.log",
    ]


def test_the_reference_is_made_once(squeezenet: Squeezenet) -> None:
    assert squeezenet.listener.prepared == ["reference outputs of torchvision:squeezenet1_1"]
    assert len(cache_contents.contents(squeezenet.cache)) == 1


def test_the_observer_sees_every_block(squeezenet: Squeezenet) -> None:
    assert squeezenet.listener.blocks == [(3, count + 1) for count in range(len(squeezenet.result.blocks))]


# -------------------------------------------------------------------------------------------- several small ones


IMPORTS: dict[str, tuple[dict[str, Value], set[str]]] = {
    "faulty": ({"mode": "fine"}, FRAMEWORKS | COORDINATORS_OWN),
    "onnxruntime": ({"precision": "float32"}, (FRAMEWORKS - {"onnxruntime"}) | COORDINATORS_OWN),
    "openvino": ({"precision": "float32"}, (FRAMEWORKS - {"openvino"}) | COORDINATORS_OWN),
    "torch_eager": ({"memory_format": "contiguous", "precision": "float32"}, {"optuna", "typer", "rich"}),
}
"""The options of a backend, and what its worker does not import."""


def serving(limit_ms: float) -> WorkloadSpec:
    return msgspec.structs.replace(TINY, serving=ServingSpec(latency_ms=limit_ms, percentile="p90"))


class Several:
    """Trials of several kinds, as far as this machine has what they need, one after the other by one coordinator."""

    def __init__(self, lab: ExtendedPackage, root: Path) -> None:
        self.root = root
        self.specs: dict[str, TrialSpec] = {}
        fine: dict[str, Value] = {"mode": "fine"}
        wide = "2x1" if len(lab.hardware.cores) > 1 else "1x1"
        self._add(lab, "one worker", "faulty", fine)
        self._add(lab, "two workers", "faulty", fine, layout=wide)
        self._add(lab, "serves", "faulty", fine, layout=wide, workload=serving(2000))
        self._add(lab, "too strict", "faulty", fine, workload=serving(0.9))  # a call sleeps a millisecond
        self._add(lab, "rejected", "faulty", fine, workload=serving(2000))
        for backend, (options, _) in IMPORTS.items():
            if backend == "faulty" or backend.partition("_")[0] in lab.hardware.packages:
                self._add(lab, backend, backend, options, witness=True)
        probes = rules(probe_s=0.1, probe_most_s=0.4, serve_s=2.0)
        incumbents = {"rejected": 1e9}
        self.told: Told = lab.run(root, [(spec, probes, incumbents.get(name)) for name, spec in self.specs.items()])

    def _add(self, lab: ExtendedPackage, name: str, backend: str, options: dict[str, Value], **how: Any) -> None:
        self.specs[name] = lab.spec(backend, options, trial=len(self.specs), **how)

    def result(self, name: str) -> TrialResult:
        return self.told.results[list(self.specs).index(name)]


@pytest.fixture(scope="module")
def several(lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Several:
    return Several(lab, tmp_path_factory.mktemp("several"))


def test_two_workers_share_the_blocks(several: Several, this_machine: Hardware) -> None:
    if len(this_machine.cores) < 2:
        pytest.skip("needs two cores")
    result, alone = several.result("two workers"), several.result("one worker")
    assert (result.status, result.error) == (Status.OK, None)
    rows = calls(several.root / several.specs["two workers"].folder)
    assert set(rows[:, 0]) == {0, 1}
    for block in [*result.warmup, *result.blocks]:
        own = rows[rows[:, 1] == block.number]
        assert own[:, 3].sum() == block.calls
        assert set(own[:, 0]) == {0, 1}
    # each call sleeps a millisecond, so two workers do twice as much; and each holds as much memory as one
    assert sum(b.rate for b in result.blocks) / len(result.blocks) > 1.4 * alone.blocks[-1].rate
    assert result.peak_rss_bytes is not None and alone.peak_rss_bytes is not None
    assert result.peak_rss_bytes > 1.7 * alone.peak_rss_bytes


def test_a_trial_that_serves_finds_its_largest_rate(several: Several) -> None:
    spec, result = several.specs["serves"], several.result("serves")
    assert (result.status, result.error) == (Status.OK, None)
    assert result.served is not None
    kept = [probe.rate for probe in result.served.probes if probe.kept]
    assert 0 < result.served.rate == max(kept) <= max(block.rate for block in result.blocks)
    assert all(probe.requests > 0 for probe in result.served.probes)
    assert written(several.root, spec) == result
    # the latencies kept are those of the blocks
    blocks = {block.number for block in [*result.warmup, *result.blocks, *result.repeated]}
    assert set(calls(several.root / spec.folder)[:, 1]) <= blocks


def test_a_limit_below_one_call_is_a_rate_of_zero(several: Several) -> None:
    result = several.result("too strict")
    assert (result.status, result.error) == (Status.OK, None)
    assert result.served is not None
    assert result.served.rate == 0
    assert all(probe.over == probe.requests > 0 for probe in result.served.probes)


def test_a_rejected_trial_serves_nothing(several: Several) -> None:
    result = several.result("rejected")
    assert (result.status, result.served) == (Status.REJECTED, None)


@pytest.mark.parametrize("backend", IMPORTS)
def test_a_worker_imports_no_more_than_it_needs(several: Several, backend: str) -> None:
    if backend not in several.specs:
        pytest.skip(f"needs {backend}")
    result = several.result(backend)
    assert (result.status, result.error) == (Status.OK, None)
    out = (several.root / several.specs[backend].folder / "stdout.log").read_text()
    (line,) = [line for line in out.splitlines() if line.startswith("modules: ")]
    imported = {name.partition(".")[0] for name in line.split()[1:]}
    assert {"autotune", "numpy", "msgspec"} <= imported
    assert IMPORTS[backend][1] & imported == set()


def test_their_coordinator_imports_none_of_it(several: Several) -> None:
    assert (FRAMEWORKS | COORDINATORS_OWN) & {name.partition(".")[0] for name in several.told.modules} == set()
