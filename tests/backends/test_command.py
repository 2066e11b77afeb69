from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotune.backends import command
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from tests.conftest import ExtendedPackage, ended

LINE = 'print(\'{"throughput": 200.0, "latencies_ms": [4.0, 6.0]}\')'


def spec(
    lab: ExtendedPackage, folder: Path, program: str, words: str = "", **options: float | str | int | None
) -> TrialSpec:
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


def test_the_rate_is_what_the_program_says(lab: ExtendedPackage, tmp_path: Path) -> None:
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, LINE)]).results
    assert (result.status, result.error, result.fidelity) == (Status.OK, None, None)
    assert all(block.rate == pytest.approx(200.0) for block in result.blocks)
    assert sum(block.cpu_ns for block in result.blocks) > 0
    assert result.peak_rss_bytes is not None


def test_whole_runs_count_their_samples(lab: ExtendedPackage, tmp_path: Path) -> None:
    program = "import sys, time; assert sys.argv[1:] == ['2', 'quick']; time.sleep(0.3)"
    one = spec(lab, tmp_path, program, "{batch_size} {mode}", reads="runs", samples=50)
    (result,) = lab.execute(tmp_path, [one]).results
    assert (result.status, result.error) == (Status.OK, None)
    assert all(0 < block.rate <= 50 / 0.3 for block in result.blocks)
    assert max(block.rate for block in result.blocks) > 2 / 0.3  # more than with a batch a run
    assert any(block.calls for block in result.blocks)


def test_the_end_of_a_run_is_noticed_at_once(lab: ExtendedPackage, tmp_path: Path) -> None:
    """Popen.wait(timeout) would look after 63.5 ms, and then every 50 ms."""
    settings = {"reads": "runs", "samples": 1, "folder": str(tmp_path), "timeout_s": 20.0}
    workload = WorkloadSpec(model="command:sleep 0.07", inputs=(), options=settings)
    (result,) = lab.execute(tmp_path, [lab.spec("command", {}, workload=workload)]).results
    assert (result.status, result.error) == (Status.OK, None)
    rates = [block.rate for block in result.blocks]
    assert all(rate <= 1 / 0.07 for rate in rates)
    assert max(rates) > 1 / 0.105  # of several blocks one is hardly disturbed


def test_a_program_does_not_see_our_packages(lab: ExtendedPackage, tmp_path: Path) -> None:
    program = f"import os; assert 'PYTHONPATH' not in os.environ and 'PATH' in os.environ\n{LINE}"
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, program)]).results
    assert (result.status, result.error) == (Status.OK, None)


ORPHAN_AT_WORK = """
import os, time
if os.fork() == 0:
    while time.process_time() < 0.2:
        pass
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
"""


def test_work_that_the_program_does_not_wait_for_counts(lab: ExtendedPackage, tmp_path: Path) -> None:
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, ORPHAN_AT_WORK, reads="runs", samples=1)]).results
    assert (result.status, result.error) == (Status.OK, None)
    runs = sum(block.rate * block.elapsed_ns / 1e9 for block in result.blocks)
    assert sum(block.cpu_ns for block in result.blocks) / runs > 0.2e9


def test_what_a_program_uses_is_not_the_use_of_others(lab: ExtendedPackage, tmp_path: Path) -> None:
    program = "import time\nwhile time.process_time() < 0.3: pass"
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, program, reads="runs", samples=1)]).results
    assert (result.status, result.error) == (Status.OK, None)
    found = [block.interference.others for block in result.blocks if block.interference is not None]
    assert min(share for share in found if share is not None) < 0.3  # with the program's own it is nearly 1


def test_what_ends_a_moment_after_the_program_is_not_left_running(lab: ExtendedPackage, tmp_path: Path) -> None:
    program = f"import os, time\nif os.fork() == 0:\n    time.sleep(0.1)\n    os._exit(0)\n{LINE}"
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, program)]).results
    assert (result.status, result.error) == (Status.OK, None)


def test_the_first_run_may_sleep_as_long_as_a_run_may_take(lab: ExtendedPackage, tmp_path: Path) -> None:
    rules = MeasureRules(setup_timeout_s=2.5, idle_timeout_s=1.0)
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, "import time; time.sleep(3)")], rules).results
    assert result.error is not None and "no JSON line" in result.error  # it was waited for


ESCAPES = """
import os, time
def note(): open('escaped', 'a').write(f'{os.getpid()}\\n')
if os.fork() == 0:
    os.setsid()
    note()
    if os.fork() == 0:
        os.setsid()
        note()
    time.sleep(60)
while not os.path.exists('escaped') or len(open('escaped').readlines()) < 2:
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("then", "why"),
    [
        (LINE, "left a process running"),
        ("raise SystemExit(3)", "ended with exit status 3"),
        ("time.sleep(60)", "longer than timeout_s"),
    ],
    ids=["ends", "fails", "never ends"],
)
def test_nothing_that_a_program_started_outlives_the_trial(
    lab: ExtendedPackage, tmp_path: Path, then: str, why: str
) -> None:
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, ESCAPES + then, timeout_s=2.0)]).results
    assert result.error is not None and why in result.error
    escaped = [int(line) for line in (tmp_path / "escaped").read_text().split()]
    assert len(escaped) == 2 and all(ended(pid) for pid in escaped)


ZOMBIE_AND_ORPHAN = f"""
import os, time
if os.fork() == 0: os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
if os.fork() == 0: time.sleep(60)
{LINE}
"""


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
        (ZOMBIE_AND_ORPHAN, {}, Status.CRASHED, "left a process running"),
    ],
    ids=["silent", "twice", "fails", "dies", "never ends", "forks and dies", "forks behind a zombie"],
)
def test_a_program_that_misbehaves_is_a_failed_trial(
    lab: ExtendedPackage, tmp_path: Path, program: str, options: dict[str, float], status: Status, why: str
) -> None:
    (result,) = lab.execute(tmp_path, [spec(lab, tmp_path, program, **options)]).results
    assert result.status is status
    assert result.error is not None and why in result.error


def test_a_program_that_is_not_there(lab: ExtendedPackage, tmp_path: Path) -> None:
    workload = WorkloadSpec(
        model="command:no-such-program",
        inputs=(),
        options={"reads": "line", "samples": None, "folder": str(tmp_path), "timeout_s": 5.0},
    )
    (result,) = lab.execute(tmp_path, [lab.spec("command", {}, workload=workload)]).results
    assert result.error is not None and "no-such-program does not start: No such file" in result.error
