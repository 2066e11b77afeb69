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

from autotune.errors import MachineError, ModelError
from autotune.launch import lock
from autotune.launch.machine import Machine
from autotune.rules import MeasureRules
from autotune.types import Hardware, InputSpec, WorkloadSpec
from tests.conftest import Lab, ended
from tests.extra.execute import Listener

RULES = MeasureRules()
SQUEEZENET = WorkloadSpec(model="torchvision:squeezenet1_1", inputs=(InputSpec(shape=("batch", 3, 32, 32)),))


@pytest.fixture
def machine(this_machine: Hardware, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("AUTOTUNE_LOCK", str(tmp_path / "own.lock"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Machine(this_machine, tmp_path / "study", tmp_path / "cache", listener)


class Waits(Exception):
    """The lock would have to be waited for."""


def waits(holder: str) -> None:
    raise Waits(holder)


# ---------------------------------------------------------------------------------------------------------- context


def test_within_its_context_nobody_else_measures(machine: Machine, tmp_path: Path) -> None:
    with machine, pytest.raises(Waits, match=str(os.getpid())), lock.held(tmp_path / "own.lock", waits):
        pass
    with lock.held(tmp_path / "own.lock", waits):
        pass


def test_it_waits_for_another_and_says_so(
    machine: Machine, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "POLL_S", 0.02)
    held = contextlib.ExitStack()
    held.enter_context(lock.held(tmp_path / "own.lock", waits))
    threading.Timer(0.2, held.close).start()
    with machine:
        assert machine.canary.sense(machine.hardware.allowed_cpus, 0.01) is not None
    (holder,) = listener.holders
    assert holder.startswith(f"process {os.getpid()} (")


def test_its_canary_runs_within_its_context_and_holds_the_lock(machine: Machine, tmp_path: Path) -> None:
    with machine:
        (canary,) = machine.canary._workers.pids
        open_files = [os.readlink(path) for path in Path(f"/proc/{canary}/fd").iterdir()]
        assert str(tmp_path / "own.lock") in open_files
    assert ended(canary)
    with pytest.raises(AssertionError, match="within"):
        _ = machine.canary


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_leaves_nothing(machine: Machine, tmp_path: Path, error: type[BaseException]) -> None:
    files, children = len(os.listdir("/proc/self/fd")), psutil.Process().children()
    with pytest.raises(error), machine:
        raise error
    assert len(os.listdir("/proc/self/fd")) == files
    assert psutil.Process().children() == children
    with lock.held(tmp_path / "own.lock", waits):
        pass


def test_it_can_be_entered_again(machine: Machine) -> None:
    for _ in range(2):
        with machine:
            assert machine.canary.sense(machine.hardware.allowed_cpus, 0.01) is not None


def test_a_lock_that_cannot_be_opened(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_LOCK", str(tmp_path / "missing" / "lock"))
    with pytest.raises(MachineError, match="AUTOTUNE_LOCK"), machine:
        raise AssertionError("entered")


# ------------------------------------------------------------------------------------------------- a killed coordinator


def test_a_killed_coordinator_takes_its_workers_and_its_lock_along(lab: Lab, tmp_path: Path) -> None:
    spec = lab.spec("faulty", {"mode": "hang"})
    script = f"""
import msgspec
from pathlib import Path
from autotune.launch.machine import Machine
from autotune.rules import MeasureRules
from autotune.types import Hardware, TrialSpec
from tests.extra.execute import Listener
machine = Machine(
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


# ---------------------------------------------------------------------------------------------------------- check

needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")


@needs_torchvision
def test_a_model_that_does_not_exist_names_its_neighbours(machine: Machine) -> None:
    wrong = msgspec.structs.replace(SQUEEZENET, model="torchvision:squeezenet1_2")
    with pytest.raises(ModelError) as caught:
        machine.check(wrong, RULES)
    text = str(caught.value)
    assert text.count("\n") == 0
    assert "torchvision has no model 'squeezenet1_2'; did you mean 'squeezenet1_" in text
    log = Path(text.rpartition(" ")[2].removesuffix(")"))
    assert "Traceback" in log.read_text()


@needs_torchvision
def test_a_weights_file_that_does_not_exist_is_a_users_mistake(machine: Machine, tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(SQUEEZENET, options={"weights": str(tmp_path / "missing.pt")})
    with pytest.raises(ModelError, match=r"missing\.pt"):
        machine.check(wrong, RULES)
