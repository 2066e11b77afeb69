from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psutil
import pytest

from autotune.core.results import InterleavedRun, Status, TrialResult
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import ServingSpec
from autotune.launch import __main__
from tests.conftest import TINY, ExtendedPackage

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")


def run(lab: ExtendedPackage, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`python -m autotune.launch` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "autotune.launch", *map(str, arguments)],
        env=lab.environ,
        cwd=lab.package,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def written(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(value))
    return path


@pytest.fixture
def options(lab: ExtendedPackage, tmp_path: Path) -> list[object]:
    return ["--cache", lab.cache, "--rules", written(tmp_path / "rules.json", lab.rules)]


@pytest.mark.parametrize(("mode", "status"), [("fine", Status.OK), ("error", Status.CRASHED)])
def test_a_trial_runs_from_its_spec_alone(
    lab: ExtendedPackage, tmp_path: Path, options: list[object], mode: str, status: Status
) -> None:
    spec = lab.spec("faulty", {"mode": mode})
    path = written(tmp_path / "study" / spec.folder / "spec.json", spec)
    done = run(lab, path, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(status) and done.stdout.count("\n") == 1
    result = msgspec.json.decode((path.parent / "result.json").read_bytes(), type=TrialResult)
    assert (result.status, result.spec) == (status, spec)
    assert msgspec.json.decode(path.read_bytes(), type=TrialSpec) == spec


def test_an_interleaved_run_from_its_spec(lab: ExtendedPackage, tmp_path: Path, options: list[object]) -> None:
    configs = {name: lab.spec("faulty", {"mode": mode}).config for name, mode in (("a", "fine"), ("b", "error"))}
    spec = InterleavedSpec(number=1, workload=TINY, configs=configs, rounds=1, order="", folder="runs/1")
    path = written(tmp_path / "spec.json", spec)
    hardware = written(tmp_path / "hardware.json", lab.hardware)
    done = run(lab, path, *options, "--hardware", hardware)
    assert (done.returncode, done.stderr) == (0, "")
    result = tmp_path / "runs" / "1" / "result.json"
    assert done.stdout == f"2 candidates, failed: b; {result}\n"
    assert set(msgspec.json.decode(result.read_bytes(), type=InterleavedRun).candidates) == {"a", "b"}


def test_requests_are_served_at_a_rate(lab: ExtendedPackage, tmp_path: Path, options: list[object]) -> None:
    workload = msgspec.structs.replace(TINY, serving=ServingSpec(latency_ms=100.0))
    spec = lab.spec("faulty", {"mode": "error"}, workload=workload)
    path = written(tmp_path / spec.folder / "spec.json", spec)
    done = run(lab, path, *options, "--rate", 10, "--seconds", 0.2)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the rate was not kept: ")
    assert json.loads((path.parent / "result.json").read_text())["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_running(
    lab: ExtendedPackage, tmp_path: Path, options: list[object], number: signal.Signals
) -> None:
    spec = lab.spec("faulty", {"mode": "hang"})
    path = written(tmp_path / spec.folder / "spec.json", spec)
    command = [sys.executable, "-m", "autotune.launch", *map(str, [path, *options])]
    with subprocess.Popen(
        command, env=lab.environ, cwd=lab.package, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        log = path.parent / "stdout.log"
        while not (log.exists() and log.read_text().endswith("\n")):
            assert program.poll() is None
            time.sleep(0.02)
        started = psutil.Process(int(log.read_text().split()[1]))
        program.send_signal(number)
        said = program.communicate()
    assert (program.returncode, said) == (128 + number, ("", ""))
    started.wait(timeout=20)  # by itself it would last a minute
    assert not (path.parent / "processes.json").exists()


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"configs": 1}'])
def test_what_is_no_spec_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    path = tmp_path / "spec.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(sys, "argv", ["launch", str(path)])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert __main__.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("autotune: ") and err.count("\n") == 1 and str(path) in err


def test_a_rate_needs_requests_in_the_workload(lab: ExtendedPackage, tmp_path: Path, options: list[object]) -> None:
    path = written(tmp_path / "spec.json", lab.spec("faulty", {"mode": "fine"}))
    done = run(lab, path, *options, "--rate", 10)
    assert (done.returncode, done.stderr) == (
        1,
        f"autotune: {path} has no `serving` in its workload, which --rate needs\n",
    )


def test_help(lab: ExtendedPackage) -> None:
    done = run(lab, "--help")
    assert done.returncode == 0 and "--hardware" in done.stdout
