from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autotune.backends import command
from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from tests.conftest import QUICK, ExtendedPackage, ended

LINE = 'print(\'{"throughput": 200.0, "latencies_ms": [4.0, 6.0]}\')'
SLEEP_S = 0.07


@dataclass(frozen=True)
class Program:
    """A Python program, the words after its name, the workload's options that differ, and how it is started."""

    text: str
    words: str = ""
    options: dict[str, float | str | int | None] = field(default_factory=dict)
    rules: MeasureRules = QUICK
    command: str = "{python} program.py {words}"
    env: tuple[str, ...] = ()


def runs(text: str, words: str = "", samples: int = 1) -> Program:
    """A program whose whole runs are timed."""
    return Program(text, words, {"reads": "runs", "samples": samples})


ORPHAN_AT_WORK = """
import os, time
if os.fork() == 0:
    while time.process_time() < 0.1:
        pass
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
"""
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
ZOMBIE_AND_ORPHAN = f"""
import os, time
if os.fork() == 0: os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
if os.fork() == 0: time.sleep(60)
{LINE}
"""
PROGRAMS = {
    "prints": Program(f"import os; assert 'PYTHONPATH' not in os.environ and 'PATH' in os.environ\n{LINE}"),
    "named": Program(f"import os; assert os.environ['PYTHONPATH']\n{LINE}", env=("PYTHONPATH",)),
    "prints much": Program(f"import os\nfor _ in range(70): os.write(1, (b'x' * 1023 + b'\\n') * 1024)\n{LINE}"),
    "runs": runs(
        "import sys, time; assert sys.argv[1:] == ['2', 'quick']; time.sleep(0.1)", "{batch_size} {mode}", samples=50
    ),
    "sleeps": Program("", options={"reads": "runs", "samples": 1}, command=f"sleep {SLEEP_S}"),
    "orphan": runs(ORPHAN_AT_WORK),
    "spins": runs("import time\nwhile time.process_time() < 0.2: pass"),
    "ends late": Program(f"import os, time\nif os.fork() == 0:\n    time.sleep(0.05)\n    os._exit(0)\n{LINE}"),
    "sleeps long": Program(
        "import time; time.sleep(1.5)", rules=msgspec.structs.replace(QUICK, setup_timeout_s=1.2, idle_timeout_s=0.5)
    ),
    "twice": Program(f"{LINE}; {LINE}"),
    "fails": Program("raise SystemExit('no such mode')"),
    "dies": Program("import os; os.kill(os.getpid(), 11)"),
    "never ends": Program("import time; time.sleep(60)", options={"timeout_s": 0.5}),
    "forks behind a zombie": Program(ZOMBIE_AND_ORPHAN),
    "escapes and ends": Program(ESCAPES + LINE),
    "escapes and fails": Program(ESCAPES + "raise SystemExit(3)"),
    "escapes and never ends": Program(ESCAPES + "time.sleep(60)", options={"timeout_s": 1.5}),
}


class Trials:
    """One trial of each program, run one after the other by one coordinator."""

    def __init__(self, lab: ExtendedPackage, root: Path) -> None:
        self.root = root
        self.specs = {name: self.spec(lab, name, number) for number, name in enumerate(PROGRAMS)}
        asked = [(spec, PROGRAMS[name].rules, None) for name, spec in self.specs.items()]
        self.results = dict(zip(PROGRAMS, lab.run(root, asked).results, strict=True))

    def folder(self, name: str) -> Path:
        """The folder in which the program runs."""
        return self.root / "programs" / name.replace(" ", "-")

    def spec(self, lab: ExtendedPackage, name: str, number: int) -> TrialSpec:
        program, folder = PROGRAMS[name], self.folder(name)
        folder.mkdir(parents=True)
        (folder / "program.py").write_text(program.text)
        options = {"reads": "line", "samples": None, "folder": str(folder), "timeout_s": 20.0, **program.options}
        started = program.command.format(python=sys.executable, words=program.words)
        workload = WorkloadSpec(model=f"command:{started}", inputs=(), options=options, env=program.env)
        return lab.spec("command", {"mode": "quick"}, trial=number, workload=workload)

    def measured(self, name: str) -> TrialResult:
        """The result of a trial that went well."""
        result = self.results[name]
        assert (result.status, result.error) == (Status.OK, None)
        return result


@pytest.fixture(scope="module")
def trials(lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    return Trials(lab, tmp_path_factory.mktemp("command"))


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


def test_the_rate_is_what_a_program_that_does_not_see_our_packages_says(trials: Trials) -> None:
    result = trials.measured("prints")
    assert result.fidelity is None
    assert all(block.rate == pytest.approx(200.0) for block in result.blocks)
    assert sum(block.cpu_ns for block in result.blocks) > 0
    assert result.peak_rss_bytes is not None


@pytest.mark.parametrize("name", ["named", "prints much"])
def test_pythonpath_is_handed_on_where_it_is_named_and_the_line_is_found_behind_much_else(
    trials: Trials, name: str
) -> None:
    assert sum(block.rate for block in trials.measured(name).blocks) > 0


def test_whole_runs_count_their_samples(trials: Trials) -> None:
    blocks = trials.measured("runs").blocks
    assert all(0 < block.rate <= 50 / 0.1 for block in blocks)
    assert max(block.rate for block in blocks) > 2 / 0.1  # more than with a batch a run
    assert any(block.calls for block in blocks)


def test_the_end_of_a_run_is_noticed_at_once(trials: Trials) -> None:
    """Popen.wait(timeout) would look after 63.5 ms, and then every 50 ms: never between 70 ms and 113.5 ms."""
    assert trials.measured("sleeps")
    calls = np.load(trials.root / trials.specs["sleeps"].folder / "latencies.npy", allow_pickle=False)
    assert SLEEP_S <= calls[:, 2].min() / 1e9 < 0.113  # of many runs one is hardly disturbed


def test_work_that_the_program_does_not_wait_for_counts(trials: Trials) -> None:
    """It works for 0.1 s; a run at a block's edge counts in part, and a bare interpreter takes a fifth of that."""
    blocks = trials.measured("orphan").blocks
    runs = sum(block.rate * block.elapsed_ns / 1e9 for block in blocks)
    assert sum(block.cpu_ns for block in blocks) / runs > 0.05e9


def test_what_a_program_uses_is_not_the_use_of_others(trials: Trials) -> None:
    """Its own use of its one core and that of others are at most that core; counted as both it would be more."""
    found = [
        (block.cpu_ns / block.elapsed_ns, block.interference.others)
        for block in trials.measured("spins").blocks
        if block.interference is not None and block.interference.others is not None
    ]
    own, others = max(found)
    assert own + others < 1.2


def test_what_ends_a_moment_after_the_program_is_not_left_running(trials: Trials) -> None:
    assert trials.measured("ends late")


def test_the_first_run_may_sleep_as_long_as_a_run_may_take(trials: Trials) -> None:
    result = trials.results["sleeps long"]
    assert result.status is Status.CRASHED
    assert result.error is not None and "no JSON line" in result.error  # it was waited for


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("escapes and ends", "left a process running"),
        ("escapes and fails", "ended with exit status 3"),
        ("escapes and never ends", "longer than timeout_s"),
    ],
)
def test_nothing_that_a_program_started_outlives_the_trial(trials: Trials, name: str, why: str) -> None:
    result = trials.results[name]
    assert result.error is not None and why in result.error
    escaped = [int(line) for line in (trials.folder(name) / "escaped").read_text().split()]
    assert len(escaped) == 2 and all(ended(pid) for pid in escaped)


@pytest.mark.parametrize(
    ("name", "status", "why"),
    [
        ("twice", Status.CRASHED, "2 JSON lines"),
        ("fails", Status.CRASHED, "ended with exit status 1"),
        ("dies", Status.CRASHED, "killed by signal 11"),
        ("never ends", Status.TIMEOUT, "longer than timeout_s: 0.5 s"),
        ("forks behind a zombie", Status.CRASHED, "left a process running"),
    ],
)
def test_a_program_that_misbehaves_is_a_failed_trial(trials: Trials, name: str, status: Status, why: str) -> None:
    result = trials.results[name]
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
