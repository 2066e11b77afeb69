from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psutil
import pytest

from autotune.core.errors import MachineError, ModelError
from autotune.core.machine import Hardware
from autotune.core.results import Sustained
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import InputSpec, ServingSpec, WorkloadSpec
from autotune.launch import lock
from autotune.launch.local_executor import LocalExecutor
from tests.conftest import TINY, ExtendedPackage, ended
from tests.extra.execute import Listener

RULES = MeasureRules()
SQUEEZENET = WorkloadSpec(model="torchvision:squeezenet1_1", inputs=(InputSpec(shape=("batch", 3, 32, 32)),))


@pytest.fixture
def machine(
    this_machine: Hardware, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> LocalExecutor:
    monkeypatch.setenv("AUTOTUNE_LOCK", str(tmp_path / "own.lock"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return LocalExecutor(this_machine, tmp_path / "study", tmp_path / "cache", listener)


class Waits(Exception):
    """The lock would have to be waited for."""


def waits(holder: str) -> None:
    raise Waits(holder)


# ---------------------------------------------------------------------------------------------------------- context


def test_within_its_context_nobody_else_measures(machine: LocalExecutor, tmp_path: Path) -> None:
    with machine, pytest.raises(Waits, match=str(os.getpid())), lock.held(tmp_path / "own.lock", waits):
        pass
    with lock.held(tmp_path / "own.lock", waits):
        pass


def test_it_waits_for_another_and_says_so(
    machine: LocalExecutor, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "POLL_S", 0.02)
    held = contextlib.ExitStack()
    held.enter_context(lock.held(tmp_path / "own.lock", waits))
    threading.Timer(0.2, held.close).start()
    with machine:
        assert machine.canary.sense(machine.hardware.allowed_cpus, 0.01) is not None
    (holder,) = listener.holders
    assert holder.startswith(f"process {os.getpid()} (")


def test_its_canary_runs_within_its_context_and_holds_the_lock(machine: LocalExecutor, tmp_path: Path) -> None:
    with machine:
        (canary,) = machine.canary._workers.pids
        open_files = [os.readlink(path) for path in Path(f"/proc/{canary}/fd").iterdir()]
        assert str(tmp_path / "own.lock") in open_files
    assert ended(canary)
    with pytest.raises(AssertionError, match="within"):
        _ = machine.canary


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_leaves_nothing(machine: LocalExecutor, tmp_path: Path, error: type[BaseException]) -> None:
    files, children = len(os.listdir("/proc/self/fd")), psutil.Process().children()
    with pytest.raises(error), machine:
        raise error
    assert len(os.listdir("/proc/self/fd")) == files
    assert psutil.Process().children() == children
    with lock.held(tmp_path / "own.lock", waits):
        pass


def test_it_can_be_entered_again(machine: LocalExecutor) -> None:
    for _ in range(2):
        with machine:
            assert machine.canary.sense(machine.hardware.allowed_cpus, 0.01) is not None


def test_a_lock_that_cannot_be_opened(machine: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_LOCK", str(tmp_path / "missing" / "lock"))
    with pytest.raises(MachineError, match="AUTOTUNE_LOCK"), machine:
        raise AssertionError("entered")


# ------------------------------------------------------------------------------------------------- a killed coordinator


def test_a_killed_coordinator_takes_its_workers_and_its_lock_along(lab: ExtendedPackage, tmp_path: Path) -> None:
    spec = lab.spec("faulty", {"mode": "hang"})
    script = f"""
import msgspec
from pathlib import Path
from autotune.launch.local_executor import LocalExecutor
from autotune.core.results import Probe
from autotune.core.rules import MeasureRules
from autotune.core.machine import Hardware
from autotune.core.specs import TrialSpec
from tests.extra.execute import Listener
machine = LocalExecutor(
    msgspec.json.decode({msgspec.json.encode(lab.hardware)!r}, type=Hardware),
    Path({str(tmp_path)!r}), Path({str(lab.cache)!r}), Listener()
)
with machine:
    machine.execute(msgspec.json.decode({msgspec.json.encode(spec)!r}, type=TrialSpec), MeasureRules(), None)
"""
    environ = lab.environ | {"PYTHONPATH": f"{lab.package}:{Path(__file__).parents[2]}"}
    environ |= {"AUTOTUNE_LOCK": str(tmp_path / "own.lock"), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environ, cwd=lab.package) as coordinator:
        record, out = tmp_path / spec.folder / "processes.json", tmp_path / spec.folder / "stdout.log"
        for _ in range(400):
            if out.exists() and out.read_text().endswith("\n"):
                break
            assert coordinator.poll() is None
            time.sleep(0.05)
        (worker,) = msgspec.json.decode(record.read_bytes())
        coordinator.kill()
    assert ended(worker["pid"])
    with lock.held(tmp_path / "own.lock", lambda holder: None):  # once the canary has ended, too
        psutil.Process(int(out.read_text().split()[1])).kill()


# -------------------------------------------------------------------------------------------------------- sustain


def sustained(
    lab: ExtendedPackage, root: Path, rules: MeasureRules, *asked: tuple[str, float, float]
) -> list[Sustained]:
    """The results of 0.4 s each: by the mode of its backend, its limit (ms) and its rate."""
    sustains = []
    for number, (mode, limit_ms, rate) in enumerate(asked):
        workload = msgspec.structs.replace(TINY, serving=ServingSpec(latency_ms=limit_ms, percentile="p50"))
        spec = lab.spec("faulty", {"mode": mode}, trial=number, workload=workload)
        sustains.append((spec, rules, rate, 0.4))
    return lab.run(root, [], sustains=sustains).sustained


def test_a_rate_is_sustained_by_fresh_workers(lab: ExtendedPackage, quick: MeasureRules, tmp_path: Path) -> None:
    found, slow = sustained(lab, tmp_path, quick, ("fine", 2000, 200), ("fine", 0.9, 200))
    kept, broken = found.probe, slow.probe
    assert kept is not None and broken is not None
    assert (kept.rate, kept.seconds, kept.over, kept.kept) == (200, 0.4, 0, True)
    assert 40 < kept.requests < 140
    assert kept.latency_ms >= 1  # a call sleeps as long
    assert (broken.over, broken.kept) == (broken.requests, False)
    assert found.setup_s and found.peak_rss_bytes and found.fidelity is not None


def test_a_rate_beyond_the_capacity_is_not_sustained(lab: ExtendedPackage, quick: MeasureRules, tmp_path: Path) -> None:
    (found,) = sustained(lab, tmp_path, quick, ("fine", 50, 20_000))  # calls of two and of a millisecond: 2,000
    assert found.probe is not None and not found.probe.kept


def test_workers_that_do_not_run_say_why_nothing_was_sustained(
    lab: ExtendedPackage, quick: MeasureRules, tmp_path: Path
) -> None:
    modes = ("error", "prepare_error", "crash_later")
    found = sustained(lab, tmp_path, quick, *((mode, 2000, 2000) for mode in modes))
    assert [one.probe for one in found] == [None] * 3
    assert all(one.error for one in found) and "no such operator" in str(found[1].error)
    assert "no such operator" in (tmp_path / "trials" / "00001" / "stderr.log").read_text()


# ---------------------------------------------------------------------------------------------------------- check

needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")


@needs_torchvision
def test_a_model_that_does_not_exist_names_its_neighbours(machine: LocalExecutor) -> None:
    wrong = msgspec.structs.replace(SQUEEZENET, model="torchvision:squeezenet1_2")
    with pytest.raises(ModelError) as caught:
        machine.check(wrong, RULES)
    text = str(caught.value)
    assert text.count("\n") == 0
    assert "torchvision has no model 'squeezenet1_2'; did you mean 'squeezenet1_" in text
    log = Path(text.rpartition(" ")[2].removesuffix(")"))
    assert "Traceback" in log.read_text()


@needs_torchvision
def test_a_weights_file_that_does_not_exist_is_a_users_mistake(machine: LocalExecutor, tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(SQUEEZENET, options={"weights": str(tmp_path / "missing.pt")})
    with pytest.raises(ModelError, match=r"missing\.pt"):
        machine.check(wrong, RULES)
