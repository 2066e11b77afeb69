from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autotune.core.machine import Hardware
from autotune.core.protocol import MeasureJob
from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, ServingSpec, WorkloadSpec
from autotune.launch.local_executor import LocalExecutor
from autotune.models import cache_contents
from autotune.space import configs
from tests.conftest import QUICK, TINY, ExtendedPackage, ended
from tests.extra.execute import Listener, Told

FRAMEWORKS = {"torch", "torchvision", "onnxruntime", "onnx", "openvino", "nncf"}
COORDINATORS_OWN = {"optuna", "typer", "rich", "yaml"}
SQUEEZENET = WorkloadSpec(model="torchvision:squeezenet1_1", inputs=(InputSpec(shape=("batch", 3, 32, 32)),))

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")


def rules(**changes: float) -> MeasureRules:
    return msgspec.structs.replace(QUICK, verify_s=60.0, **changes)


def written(root: Path, spec: TrialSpec) -> TrialResult:
    return msgspec.json.decode((root / spec.folder / "result.json").read_bytes(), type=TrialResult)


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
    assert fidelity.samples == 8
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


# ------------------------------------------------------------------------------------------------- two workers


def test_two_workers_share_the_blocks(lab: ExtendedPackage, tmp_path: Path) -> None:
    if len(lab.hardware.cores) < 2:
        pytest.skip("needs two cores")
    spec = lab.spec("faulty", {"mode": "fine"}, layout="2x1")
    result, alone = lab.execute(tmp_path, [spec, lab.spec("faulty", {"mode": "fine"}, trial=2)]).results
    assert (result.status, result.error) == (Status.OK, None)
    rows = calls(tmp_path / spec.folder)
    assert set(rows[:, 0]) == {0, 1}
    for block in [*result.warmup, *result.blocks]:
        own = rows[rows[:, 1] == block.number]
        assert own[:, 3].sum() == block.calls
        assert set(own[:, 0]) == {0, 1}
    # each call sleeps a millisecond, so two workers do twice as much; and each holds as much memory as one
    assert sum(b.rate for b in result.blocks) / len(result.blocks) > 1.4 * alone.blocks[-1].rate
    assert result.peak_rss_bytes > 1.7 * alone.peak_rss_bytes


# ------------------------------------------------------------------------------------------------------- serving


def serving(limit_ms: float) -> WorkloadSpec:
    return msgspec.structs.replace(TINY, serving=ServingSpec(latency_ms=limit_ms, percentile="p90"))


def quick_probes() -> MeasureRules:
    return rules(probe_s=0.1, probe_most_s=0.4, serve_s=2.0)


def test_a_trial_that_serves_finds_its_largest_rate(lab: ExtendedPackage, tmp_path: Path) -> None:
    if len(lab.hardware.cores) < 2:
        pytest.skip("needs two cores")
    spec = lab.spec("faulty", {"mode": "fine"}, workload=serving(2000), layout="2x1")
    (result,) = lab.execute(tmp_path, [spec], quick_probes()).results
    assert (result.status, result.error) == (Status.OK, None)
    assert result.served is not None
    kept = [probe.rate for probe in result.served.probes if probe.kept]
    assert 0 < result.served.rate == max(kept) <= max(block.rate for block in result.blocks)
    assert all(probe.requests > 0 for probe in result.served.probes)
    assert written(tmp_path, spec) == result
    # the latencies kept are those of the blocks
    blocks = {block.number for block in [*result.warmup, *result.blocks, *result.repeated]}
    assert set(calls(tmp_path / spec.folder)[:, 1]) <= blocks


def test_a_limit_below_one_call_is_a_rate_of_zero(lab: ExtendedPackage, tmp_path: Path) -> None:
    spec = lab.spec("faulty", {"mode": "fine"}, workload=serving(0.9))  # a call sleeps a millisecond
    (result,) = lab.execute(tmp_path, [spec], quick_probes()).results
    assert (result.status, result.error) == (Status.OK, None)
    assert result.served is not None
    assert result.served.rate == 0
    assert all(probe.over == probe.requests > 0 for probe in result.served.probes)


def test_a_rejected_trial_serves_nothing(lab: ExtendedPackage, tmp_path: Path) -> None:
    spec = lab.spec("faulty", {"mode": "fine"}, workload=serving(2000))
    (result,) = lab.execute(tmp_path, [spec], quick_probes(), incumbent=1e9).results
    assert (result.status, result.served) == (Status.REJECTED, None)


# ------------------------------------------------------------------------------------------------ what is imported


@pytest.mark.parametrize(
    ("backend", "options", "absent"),
    [
        ("faulty", {"mode": "fine"}, FRAMEWORKS | COORDINATORS_OWN),
        ("onnxruntime", {"precision": "float32"}, (FRAMEWORKS - {"onnxruntime"}) | COORDINATORS_OWN),
        ("openvino", {"precision": "float32"}, (FRAMEWORKS - {"openvino"}) | COORDINATORS_OWN),
        ("torch_eager", {"memory_format": "contiguous", "precision": "float32"}, {"optuna", "typer", "rich"}),
    ],
)
def test_a_worker_imports_no_more_than_it_needs(
    lab: ExtendedPackage, tmp_path: Path, backend: str, options: dict[str, str], absent: set[str]
) -> None:
    if backend != "faulty" and backend.partition("_")[0] not in lab.hardware.packages:
        pytest.skip(f"needs {backend}")
    spec = lab.spec(backend, options, witness=True)
    told = lab.execute(tmp_path, [spec])
    assert (told.results[0].status, told.results[0].error) == (Status.OK, None)
    out = (tmp_path / spec.folder / "stdout.log").read_text()
    (line,) = [line for line in out.splitlines() if line.startswith("modules: ")]
    imported = {name.partition(".")[0] for name in line.split()[1:]}
    assert {"autotune", "numpy", "msgspec"} <= imported
    assert absent & imported == set()
    assert (FRAMEWORKS | COORDINATORS_OWN) & {name.partition(".")[0] for name in told.modules} == set()


# ---------------------------------------------------------------------------------------------------------- faults

FAULTS = {
    "crash": (Status.CRASHED, "a worker was killed by SIGSEGV: about to crash"),
    "exit": (Status.CRASHED, "a worker ended with exit status 3: about to exit"),
    "error": (Status.CRASHED, "ValueError: this model cannot be loaded"),
    "crash_later": (Status.CRASHED, "a worker was killed by SIGABRT: crashed while measured"),
    "memory_error": (Status.OUT_OF_MEMORY, "MemoryError"),
    "allocator_error": (
        Status.OUT_OF_MEMORY,
        "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB",
    ),
    "oom": (Status.OUT_OF_MEMORY, r"the workers use 0\.\d GiB; allowed are 0\.3 GiB"),
    "hang": (Status.TIMEOUT, "no answer within 4 s while loading the model"),
    "hang_later": (Status.TIMEOUT, "no answer within 1 s while measuring a block"),
    "nan": (Status.WRONG_OUTPUT, r"the output is nan in sample 0 at \[0\], where the reference is .*; 4 values are .*"),
    "shape": (Status.WRONG_OUTPUT, r"the output has shape \(8, 3\), the reference \(8, 4\)"),
    "outputs": (Status.WRONG_OUTPUT, "2 outputs; the reference has 1: output"),
    "ignored": (Status.NOT_APPLIED, "faulty: the setting was ignored"),
}


class Faults:
    """One trial for every fault and for a few others, run one after the other by one coordinator."""

    def __init__(self, lab: ExtendedPackage, root: Path) -> None:
        self.root = root
        limits = {
            "oom": rules(memory_fraction=0.3 * 2**30 / lab.hardware.usable_memory_bytes),
            "hang": rules(setup_timeout_s=4.0),
            "hang_later": rules(block_timeout_s=1.0),
            "late": rules(trial_timeout_s=1.0),
        }
        modes = dict(zip(FAULTS, FAULTS, strict=True)) | {"fine": "fine", "late": "hang", "hopeless": "fine"}
        self.specs = {name: lab.spec("faulty", {"mode": modes[name]}, trial=i) for i, name in enumerate(modes)}
        incumbents = {"hopeless": 1e9}
        trials = [(spec, limits.get(name, rules()), incumbents.get(name)) for name, spec in self.specs.items()]
        self.told: Told = lab.run(root, trials)

    def result(self, mode: str) -> TrialResult:
        return self.told.results[list(self.specs).index(mode)]


@pytest.fixture(scope="module")
def faults(lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Faults:
    return Faults(lab, tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("mode", FAULTS)
def test_a_fault_is_the_trials_status(faults: Faults, mode: str) -> None:
    result = faults.result(mode)
    status, error = FAULTS[mode]
    assert result.status is status
    assert re.fullmatch(error, result.error or "")
    assert result.blocks == ()
    assert result.wall_s > 0
    assert written(faults.root, faults.specs[mode]) == result


def test_a_fault_leaves_the_next_trial_alone(faults: Faults) -> None:
    assert faults.result("fine").status is Status.OK


def test_a_faults_traceback_is_kept(faults: Faults) -> None:
    log = (faults.root / faults.specs["error"].folder / "stderr.log").read_text()
    assert log.startswith("Traceback")
    assert "in two lines" in log


def test_a_hang_leaves_no_process(faults: Faults) -> None:
    out = (faults.root / faults.specs["hang"].folder / "stdout.log").read_text()
    word, pid = out.split()
    assert word == "grandchild"
    assert ended(int(pid))


def test_exit_handlers_are_skipped(faults: Faults) -> None:
    assert "exit handler" not in (faults.root / faults.specs["fine"].folder / "stdout.log").read_text()


def test_the_studys_time_interrupts(faults: Faults) -> None:
    result = faults.result("late")
    assert (result.status, result.error) == (Status.INTERRUPTED, "the study's time ended while loading the model")


def test_a_hopeless_trial_is_rejected(faults: Faults) -> None:
    result = faults.result("hopeless")
    assert (result.status, result.error) == (Status.REJECTED, None)
    assert (len(result.warmup), len(result.blocks)) == (0, 1)
    assert result.feasible


def test_a_trial_may_be_run_again_in_its_folder(lab: ExtendedPackage, tmp_path: Path) -> None:
    crashes = lab.spec("faulty", {"mode": "crash"})
    fine = lab.spec("faulty", {"mode": "fine"})
    first, second = lab.execute(tmp_path, [crashes, fine]).results
    assert (first.status, second.status) == (Status.CRASHED, Status.OK)
    assert written(tmp_path, fine) == second


@pytest.mark.parametrize(
    ("fate", "failure"),
    [("killed", "a worker was killed by SIGKILL"), ("not_pinned", "OSError: [Errno 22] the canary cannot be pinned")],
)
def test_without_a_canary_a_trial_says_so(lab: ExtendedPackage, tmp_path: Path, fate: str, failure: str) -> None:
    spec = lab.spec("faulty", {"mode": "fine"})
    told = lab.run(tmp_path, [(spec, rules(), None)], canary=fate)
    (result,) = told.results
    assert (told.canary_failure or "").startswith(failure)
    assert result.status is Status.OK
    assert any(flag.startswith("no_canary: ") for flag in result.flags)
    assert all(block.canary is None and block.interference is not None for block in result.blocks)


def test_with_a_canary_nothing_is_flagged(faults: Faults) -> None:
    assert faults.told.canary_failure is None
    assert faults.result("fine").flags == ()
