"""The whole way through `python -m autotune`, in processes of its own, with a small model and real trials."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest

from autotune.core.best import Best
from autotune.core.results import Status, TrialResult
from autotune.study.storage import store
from tests.conftest import ended

ROOT = Path(__file__).parents[1]
MODEL = "torchvision:squeezenet1_1"
WORKLOAD = f"workload: {{model: '{MODEL}', inputs: [{{shape: [batch, 3, 32, 32]}}]}}\n"
WHOLE = f"name: whole\n{WORKLOAD}search: {{backend: {{torch_eager: {{}}, onnxruntime: {{}}}}}}\nbudget: {{trials: 2}}\n"
CONFIRMED = f"""\
name: confirmed
{WORKLOAD}search: {{batch_size: [1, 16], backend: {{onnxruntime: {{}}}}}}
baseline: {{backend: {{onnxruntime: {{}}}}}}
budget: {{trials: 2}}
"""
QUICK = f"""\
name: quick
{WORKLOAD}search: {{batch_size: [1, 2, 4], backend: {{onnxruntime: {{}}}}}}
baseline: {{backend: {{onnxruntime: {{}}}}}}
budget: {{trials: 3}}
"""
FRAMEWORKS = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "openvino", "nncf")
PATIENCE_S = 300
QUICKLY = str(ROOT / "tests" / "extra" / "quickly.py")
MNT_DETACH = 2


@dataclass(frozen=True)
class Place:
    """A folder in which the program is run, with a cache that all tests share."""

    folder: Path
    cache: Path

    @property
    def study(self) -> Path:
        return self.folder / "studies" / "mine"

    @property
    def environ(self) -> dict[str, str]:
        own = {"AUTOTUNE_CACHE": str(self.cache), "TMPDIR": str(self.folder), "PYTHONPATH": str(ROOT)}
        return {
            name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "TTY_COMPATIBLE")
        } | own

    def start(self, *argv: str) -> subprocess.Popen[str]:
        # A shell may have had us ignore SIGINT; the program would inherit that.
        return subprocess.Popen(
            [sys.executable, *argv],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        with self.start(*argv) as program:
            out, err = program.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(argv, program.returncode, out, err)

    def autotune(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "autotune", *argv)

    def tune(self, text: str, *options: str) -> tuple[str, ...]:
        """The command that tunes a space, without a confirmation unless other options are given."""
        (self.folder / "space.yaml").write_text(text)
        return ("-m", "autotune", "--space", "space.yaml", "--name", "mine", *(options or ("--skip-confirmation",)))

    def start_quickly(self, command: tuple[str, ...]) -> subprocess.Popen[str]:
        """The command of `tune` under the rules of tests."""
        return self.start(QUICKLY, *command[2:])

    def run_quickly(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return self.run(QUICKLY, *command[2:])

    def best(self) -> Best:
        return msgspec.json.decode((self.study / "best.json").read_bytes(), type=Best)

    def settled(self) -> list[TrialResult]:
        return [found for found in store.results(self.study) if found.status is not Status.INTERRUPTED]


@pytest.fixture(scope="session")
def cache(shared: Path) -> Path:
    return shared / "cache"


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Place:
    return Place(tmp_path, cache)


def workers_of(program: subprocess.Popen[str], folder: Path, what: str) -> list[int]:
    """Waits until a trial or candidate runs; the process ids of everything that the coordinator has started."""
    deadline = time.monotonic() + PATIENCE_S
    while not ((record := next(folder.glob(f"{what}/processes.json"), None)) and record.read_bytes()):
        assert program.poll() is None and time.monotonic() < deadline, program.communicate()
        time.sleep(0.01)
    found = [child.pid for child in psutil.Process(program.pid).children(recursive=True)]
    assert {entry["pid"] for entry in json.loads(record.read_bytes())} <= set(found)
    return found


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    assert done.stderr.startswith("autotune: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


# --------------------------------------------------------------------------------------------------------- a whole run


@dataclass(frozen=True)
class Whole:
    place: Place
    command: tuple[str, ...]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A study of the baseline and of one other configuration, from an empty cache."""
    folder = tmp_path_factory.mktemp("whole")
    place = Place(folder, folder / "cache")
    command = place.tune(WHOLE)
    return Whole(place, command, place.run_quickly(command))


def test_a_whole_run_ends_with_best_json(whole: Whole) -> None:
    assert (whole.done.returncode, whole.done.stderr) == (0, "")
    base, other = store.results(whole.place.study)
    assert base.status is Status.OK and other.status.measured
    assert (base.spec.config.backend, other.spec.config.backend) == ("torch_eager", "onnxruntime")
    assert base.spec.config == store.space(whole.place.study).baseline
    best = whole.place.best()
    winner = (base, other)[best.trial]
    speedup = best.measured.speedup
    assert (best.study, best.confirmed, best.config) == ("mine", False, winner.spec.config)
    assert speedup.low is not None and speedup.high is not None and speedup.low <= speedup.estimate <= speedup.high
    assert speedup.estimate >= 1
    assert best.fidelity is not None and not best.fidelity.judged and best.fidelity.cosine_similarity > 0.99
    assert best.measured.latency_p50_ms is not None and best.measured.latency_p50_ms > 0
    assert "onnxruntime" in other.versions and "torch" in base.versions
    assert not list(whole.place.study.glob("trials/*/processes.json"))


@pytest.mark.slow
def test_a_run_under_the_rules_of_users(place: Place) -> None:
    done = place.run(*place.tune(WHOLE))
    assert (done.returncode, done.stderr) == (0, "")
    assert [result.status.measured for result in store.results(place.study)] == [True, True]


def test_a_log_of_a_whole_run_is_plain_and_tells_the_story(whole: Whole) -> None:
    out = whole.done.stdout
    assert not set(out) & {"\x1b", "\r", "\b"}
    expected = [
        f"         preparing reference outputs of {MODEL}",
        f"{MODEL} on .*: up to 2 configurations, [0-9]+ cores",
        "study     studies/mine",
        "budget    2 trials",
        "",
        r"   1/2  torch_eager contiguous float32, batch 1, 1x[0-9]+  [0-9.]+/s ±[0-9.]+ %  1\.00x",
        f"         preparing onnxruntime float32 of {MODEL}",
        r"   2/2  onnxruntime float32, batch 1, 1x[0-9]+  [0-9.]+/s.*  [0-9.]+x",
        "",
        "all trials of the budget are done, after .*",
        "",
        "best      .*",
        "rate      .*",
        r"seems     [0-9.]+x \([0-9.]+ to [0-9.]+\) over the baseline's .*",
        "          from the search's own windows, not confirmed by a second measurement",
        r"latency   p50 [0-9.]+ ms.* over [0-9]+ calls",
        r"cost      [0-9.]+ CPU seconds a sample, [0-9.]+ [KMG]iB of memory at most",
        "answers   unjudged: with random weights outputs hardly depend on the input",
        "trials    2: [01] given up as clearly slower, 0 failed",
        "file      studies/mine/best.json",
        "next      .*python -m autotune show studies/mine",
    ]
    lines = out.splitlines()
    assert len(lines) == len(expected), out
    assert not [(got, wanted) for got, wanted in zip(lines, expected, strict=True) if not re.fullmatch(wanted, got)]


def test_the_next_command_shows_the_study(whole: Whole) -> None:
    command = whole.done.stdout.rpartition("next ")[2].split()
    done = whole.place.run(*command[1:])
    assert (Path(command[0]).name, done.returncode, done.stderr) == ("python", 0, "")
    summary = "best " + whole.done.stdout.partition("\nbest ")[2].partition("next ")[0]
    assert done.stdout.endswith(f"\n\n{summary}")
    assert len(done.stdout.partition("\n\n")[0].splitlines()) == 3


def test_the_same_command_again_says_that_it_is_done(whole: Whole) -> None:
    results, best = store.results(whole.place.study), whole.place.best()
    done = whole.place.run(*whole.command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "study     studies/mine, going on after trial 2\n" in done.stdout
    assert "\nall trials of the budget are done, after " in done.stdout
    assert " 1/2 " not in done.stdout and "preparing" not in done.stdout
    assert (store.results(whole.place.study), whole.place.best()) == (results, best)


def test_the_coordinator_of_a_whole_run_imports_no_framework(place: Place) -> None:
    script = f"""
import sys
from pathlib import Path
from rich.console import Console
from tests.extra.quickly import tune as tuning
console = Console()
nothing = dict.fromkeys(("minutes", "storage", "seed", "instance_type"))
options = {{"name": "mine", "studies": Path("studies"), "skip_confirmation": False}}
assert tuning.tune(console, "space.yaml", trials=1, **options, **nothing)
print("imported", *sorted({{name.partition(".")[0] for name in sys.modules}} & {{"optuna", *{FRAMEWORKS!r}}}))
"""
    place.tune(QUICK)
    done = place.run("-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported optuna"
    assert [found.status for found in store.results(place.study)] == [Status.OK]


# ------------------------------------------------------------------------------------------------------- cut short


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_keeps_what_is_finished_and_says_how_to_go_on(
    place: Place, number: signal.Signals, status: int
) -> None:
    command = place.tune(QUICK)
    with place.start_quickly(command) as program:
        workers = workers_of(program, place.study, store.trial_folder(1))
        program.send_signal(number)
        out, err = program.communicate(timeout=PATIENCE_S)
    assert (program.returncode, err) == (status, "")
    assert workers and all(map(ended, workers))
    first, second = store.results(place.study)
    assert (first.status, second.status) == (Status.OK, Status.INTERRUPTED)
    assert place.best().trial == first.spec.id
    lines = out.splitlines()
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      onnxruntime")
    assert "file      studies/mine/best.json" in lines
    assert re.match("go on     .*python -m autotune ", lines[-1])
    go_on = shlex.split(lines[-1].removeprefix("go on"))
    assert go_on[1:] == list(command)


def test_kill_9_in_a_trial_loses_only_that_trial(place: Place) -> None:
    command = place.tune(QUICK)
    with place.start_quickly(command) as program:
        workers = workers_of(program, place.study, store.trial_folder(1))
        program.kill()
        program.communicate(timeout=PATIENCE_S)
    assert program.returncode == -signal.SIGKILL
    assert workers and all(map(ended, workers))
    kept = store.results(place.study)
    assert [found.spec.id for found in kept] == [0]
    lost = store.spec(place.study, 1)
    assert lost is not None

    again = place.run_quickly(command)
    assert (again.returncode, again.stderr) == (0, "")
    assert re.findall(r"^ +(\d/\d)  ", again.stdout, re.MULTILINE) == ["2/3", "3/3"]
    settled = place.settled()
    assert settled[0] == kept[0]
    assert [found.status.measured for found in settled] == [True] * 3
    assert settled[1].spec.config == lost.config
    assert sorted(found.spec.config.workload.batch_size for found in settled) == [1, 2, 4]
    assert place.best().config in [found.spec.config for found in settled]

    third = place.run_quickly(command)
    assert "going on after trial 3\n" in third.stdout and "all trials of the budget are done" in third.stdout
    assert place.settled() == settled


# ------------------------------------------------------------------------------------------------ the confirmation


@dataclass(frozen=True)
class Cut:
    """A study whose confirmation was interrupted in its second interleaved run, and the same command again."""

    place: Place
    first: subprocess.CompletedProcess[str]
    left: tuple[int, ...]
    kept: dict[str, bytes]
    best: Best
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Cut:
    place = Place(tmp_path_factory.mktemp("confirmed"), cache)
    command = place.tune(CONFIRMED, "--minutes", "3.5")
    with place.start_quickly(command) as program:
        workers = workers_of(program, place.study, "confirmation/finalists-*/0002/baseline")
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=PATIENCE_S)
    first = subprocess.CompletedProcess(command, program.returncode, out, err)
    left = tuple(pid for pid in workers if not ended(pid))
    kept = {str(path): path.read_bytes() for path in place.study.glob("confirmation/*/*/sitting.json")}
    return Cut(place, first, left, kept, place.best(), place.run_quickly(command))


def test_an_interrupted_confirmation_keeps_its_runs_and_says_how_to_go_on(cut: Cut) -> None:
    assert (cut.first.returncode, cut.first.stderr, cut.left) == (130, "", ())
    lines = cut.first.stdout.splitlines()
    assert "confirming 2 configurations against each other" in lines
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      onnxruntime")
    assert shlex.split(lines[-1].removeprefix("go on"))[1:] == list(cut.first.args)
    assert len(cut.kept) == 1
    assert not cut.best.confirmed


def test_a_confirmation_goes_on_to_a_claim(cut: Cut) -> None:
    assert (cut.second.returncode, cut.second.stderr) == (0, "")
    assert "study     studies/mine, going on after trial 2\n" in cut.second.stdout
    for path, content in cut.kept.items():
        assert Path(path).read_bytes() == content
    found, best = store.confirmation(cut.place.study), cut.place.best()
    assert found is not None and found.winner is not None, cut.second.stdout
    assert best.confirmed and best.config == found.winner.config
    speedup = best.measured.speedup
    assert speedup.runs is not None and speedup.runs >= 6
    assert speedup.rounds is not None and speedup.rounds >= 2 * speedup.runs
    assert best.measured.noise_floor is not None and best.measured.noise_floor > 0
    assert found.gain == (best.config.workload.batch_size == 16)
    assert speedup.low is not None and (speedup.low > 1 if found.gain else speedup.estimate == 1)
    assert ("speed-up  " in cut.second.stdout) == found.gain
    assert best.measured.latency_calls is not None and best.measured.latency_p50_ms is not None
    assert best.artifact is not None and "onnxruntime" in best.versions and best.fidelity is not None
    assert [one.error for one in found.finalists] == [None, None]
    assert not list(cut.place.study.glob("confirmation/*/*/*/processes.json"))


# -------------------------------------------------------------------------------------- workloads that do not build


def test_a_model_that_does_not_exist_names_those_that_do(place: Place) -> None:
    done = place.run(*place.tune(QUICK.replace("squeezenet1_1", "squeezenet1_2")))
    assert "torchvision has no model 'squeezenet1_2'; did you mean 'squeezenet1_1' or 'squeezenet1_0'?" in one_line(
        done
    )
    assert not (place.folder / "studies").exists()


def test_weights_that_are_no_state_dict_name_the_childs_log(place: Place) -> None:
    (place.folder / "weights.pth").write_text("no state_dict")
    done = place.run(*place.tune(QUICK.replace("inputs:", "weights: weights.pth, inputs:")))
    line = one_line(done)
    found = re.fullmatch(
        rf"autotune: the workload {MODEL} cannot be built: .*weights\.pth.* \(the whole story: (\S+)\)\n", line
    )
    assert found is not None, line
    assert "Traceback (most recent call last):" in Path(found[1]).read_text()
    assert not (place.folder / "studies").exists()


# ------------------------------------------------------------------------------------------------------- full disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=1m"):
        pytest.skip("a tmpfs cannot be mounted")
    yield folder
    libc.umount2(bytes(folder), MNT_DETACH)


@pytest.mark.slow
def test_a_cache_that_fills_up_while_a_model_is_made_is_one_line_and_forgotten(place: Place, disk: Path) -> None:
    full = Place(place.folder, disk / "cache")
    (disk / "filler").write_bytes(bytes(600_000))
    command = full.tune(QUICK)
    assert "no space left" in one_line(full.run(*command))
    assert not list(full.cache.glob("failures/*"))


@pytest.mark.slow
def test_a_trial_that_a_full_disk_ended_is_measured_again(place: Place, disk: Path) -> None:
    command = (*place.tune(QUICK), "--studies", str(disk), "--trials", "1")
    (disk / "filler").write_bytes(bytes(600 * 1024))
    assert "no space left for" in one_line(place.run(*command))
    assert [found for found in store.results(disk / "mine") if found.status is Status.CRASHED] == []
