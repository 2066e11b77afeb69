"""Trials that fail in every way, and those without a canary."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Status, TrialResult
from tests.conftest import ExtendedPackage, ended
from tests.extra.execute import Told
from tests.launch.trials import rules, written

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")

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
    "hang": (Status.TIMEOUT, "no answer within 3 s while loading the model; limits.setup_s is 3"),
    "hang_later": (Status.TIMEOUT, "no answer within 1 s while measuring a block"),
    "nan": (Status.WRONG_OUTPUT, r"the output is nan in sample 0 at \[0\], where the reference is .*; \d+ values .*"),
    "shape": (Status.WRONG_OUTPUT, r"the output has shape \(\d+, 3\), the reference \(\d+, 4\)"),
    "outputs": (Status.WRONG_OUTPUT, "2 outputs; the reference has 1: output"),
    "ignored": (Status.NOT_APPLIED, "faulty: the setting was ignored"),
}


class Faults:
    """One trial for every fault and for a few others, run one after the other by one coordinator."""

    def __init__(self, lab: ExtendedPackage, root: Path) -> None:
        self.root = root
        limits = {
            "oom": rules(memory_fraction=0.3 * 2**30 / lab.hardware.usable_memory_bytes),
            "hang": rules(setup_timeout_s=3.0),
            "hang_later": rules(block_timeout_s=1.0),
            "late": rules(trial_timeout_s=1.0),
        }
        modes = dict(zip(FAULTS, FAULTS, strict=True)) | {"fine": "fine", "late": "hang", "hopeless": "fine"}
        modes |= {"twice": "crash", "again": "fine"}
        self.specs = {name: lab.spec("faulty", {"mode": modes[name]}, trial=i) for i, name in enumerate(modes)}
        self.specs["again"] = msgspec.structs.replace(self.specs["again"], folder=self.specs["twice"].folder)
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


def test_a_trial_may_be_run_again_in_its_folder(faults: Faults) -> None:
    spec = faults.specs["again"]
    assert spec.folder == faults.specs["twice"].folder
    assert (faults.result("twice").status, faults.result("again").status) == (Status.CRASHED, Status.OK)
    assert written(faults.root, spec) == faults.result("again")


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
