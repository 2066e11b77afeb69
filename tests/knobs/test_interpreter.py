from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from autotune.core.config import Config, WorkloadSettings
from autotune.core.machine import Environment
from autotune.knobs import interpreter
from tests import machines

HW = machines.hardware(2, environments={"ipex": Environment(prefix="/opt/ipex", python="3.11")})


def test_the_environments_are_the_domain() -> None:
    assert interpreter.domain(HW) == ("own", "ipex")
    assert interpreter.domain(machines.hardware(2)) == ("own",)
    assert interpreter.unavailable("ipex", HW) is None
    reason = interpreter.unavailable("other", HW)
    assert reason == "no environment other that can run workers; see `python -m autotune environments`"


def test_a_command_brings_its_own_interpreter() -> None:
    config = Config(workload=WorkloadSettings(batch_size=1), backend="command", options={}, knobs={"layout": "1x1"})
    assert interpreter.without_effect("own", config, ()) is None
    assert "started by its own name" in (interpreter.without_effect("ipex", config, ()) or "")


def test_our_own_needs_no_proof() -> None:
    assert interpreter.applied("own", HW) is None


def test_another_interpreter_is_not_this_one() -> None:
    assert interpreter.applied("ipex", HW) == f"the worker runs in {sys.prefix}, not in /opt/ipex"


def test_packages_of_others_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = Environment(prefix=sys.prefix, python="3.11")
    here = msgspec.structs.replace(HW, environments={"this": environment})
    assert interpreter.applied("this", here) is None
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site-packages")])
    assert interpreter.applied("this", here) == f"the worker also sees {tmp_path / 'site-packages'}"
