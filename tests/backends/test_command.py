from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotune.backends import command
from autotune.results import Status
from autotune.types import TrialSpec, WorkloadSpec
from tests.conftest import Lab

LINE = 'print(\'{"throughput": 200.0, "latencies_ms": [4.0, 6.0]}\')'


def spec(lab: Lab, folder: Path, program: str, words: str = "", **options: float | str | int | None) -> TrialSpec:
    """A trial of a Python program with two workers."""
    file = folder / "program.py"
    file.write_text(program)
    settings = {"reads": "line", "samples": None, "folder": str(folder), "timeout_s": 20.0, **options}
    workload = WorkloadSpec(model=f"command:{sys.executable} {file} {words}", inputs=(), options=settings)
    return lab.spec("command", {"mode": "quick"}, workload=workload, layout="1x1")


# -------------------------------------------------------------------------------------------------------- figures


def test_figures_are_those_of_the_one_line_that_has_them() -> None:
    text = 'loading\n{"loss": 1}\n[1]\n{"throughput": 12.5, "latency_ms": 80, "more": "x"}\nbye'
    assert command.figures(text) == (12.5, (80_000_000,))
    assert command.figures('{"throughput": 3, "latencies_ms": [1, 2.5]}') == (3.0, (1_000_000, 2_500_000))
    assert command.figures('{"throughput": 3}') == (3.0, ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("done\n", 'printed no JSON line with "throughput"; it must print one; its last line: done'),
        ("", "it printed nothing"),
        ('{"throughput": 1}\n{"throughput": 2}\n', "printed 2 JSON lines"),
        ('{"throughput": 0}', "must be numbers above 0"),
        ('{"throughput": "fast"}', "must be numbers above 0"),
        ('{"throughput": true}', "must be numbers above 0"),
        ('{"throughput": NaN}', "must be numbers above 0"),
        ('{"throughput": 1, "latency_ms": -1}', "must be numbers above 0"),
    ],
)
def test_figures_that_cannot_be_used_say_so(text: str, why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        command.figures(text)


# ---------------------------------------------------------------------------------------------------------- trials


def test_the_rate_is_what_the_program_says(lab: Lab, tmp_path: Path) -> None:
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, LINE)]).results
    assert (result.status, result.error, result.fidelity) == (Status.OK, None, None)
    assert all(block.rate == pytest.approx(200.0) for block in result.blocks)
    assert sum(block.cpu_ns for block in result.blocks) > 0
    assert result.peak_rss_bytes is not None


def test_whole_runs_count_their_samples(lab: Lab, tmp_path: Path) -> None:
    program = "import sys, time; assert sys.argv[1:] == ['2', 'quick']; time.sleep(0.1)"
    one = spec(lab, tmp_path, program, "{batch_size} {mode}", reads="runs", samples=50)
    (result,) = lab.execute(tmp_path, [one]).results
    assert (result.status, result.error) == (Status.OK, None)
    assert all(0 < block.rate < 50 / 0.1 for block in result.blocks)
    assert any(block.calls for block in result.blocks)


@pytest.mark.parametrize(
    ("program", "options", "status", "why"),
    [
        ("print('hello')", {}, Status.CRASHED, "no JSON line"),
        (f"{LINE}; {LINE}", {}, Status.CRASHED, "2 JSON lines"),
        ("raise SystemExit('no such mode')", {}, Status.CRASHED, "ended with exit status 1"),
        ("import os; os.kill(os.getpid(), 11)", {}, Status.CRASHED, "killed by signal 11"),
        ("import time; time.sleep(60)", {"timeout_s": 0.5}, Status.TIMEOUT, "longer than timeout_s: 0.5 s"),
        (
            f"import os, time\nif os.fork() == 0: time.sleep(60)\n{LINE}",
            {},
            Status.CRASHED,
            "left a process running",
        ),
    ],
    ids=["silent", "twice", "fails", "dies", "never ends", "forks and dies"],
)
def test_a_program_that_misbehaves_is_a_failed_trial(
    lab: Lab, tmp_path: Path, program: str, options: dict[str, float], status: Status, why: str
) -> None:
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, program, **options)]).results
    assert result.status is status
    assert result.error is not None and why in result.error


def test_a_program_that_is_not_there(lab: Lab, tmp_path: Path) -> None:
    workload = WorkloadSpec(
        model="command:no-such-program",
        inputs=(),
        options={"reads": "line", "samples": None, "folder": str(tmp_path), "timeout_s": 5.0},
    )
    (result,) = lab.execute(tmp_path, [lab.spec("command", {}, workload=workload)]).results
    assert result.error is not None and "no-such-program does not start: No such file" in result.error
