"""The whole way through `python -m autotune`, in processes of its own, with a small model and real trials."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autotune.core.results import Status
from autotune.study.storage import store
from tests.place import FRAMEWORKS, Place

MODEL = "torchvision:squeezenet1_1"
WORKLOAD = f"workload: {{model: '{MODEL}', inputs: [{{shape: [batch, 3, 32, 32]}}]}}\n"
WHOLE = f"name: whole\n{WORKLOAD}search: {{backend: {{torch_eager: {{}}, onnxruntime: {{}}}}}}\nbudget: {{trials: 2}}\n"
QUICK = f"""\
name: quick
{WORKLOAD}search: {{batch_size: [1, 2, 4], backend: {{onnxruntime: {{}}}}}}
baseline: {{backend: {{onnxruntime: {{}}}}}}
budget: {{trials: 3}}
"""
MNT_DETACH = 2


@pytest.fixture
def place(tmp_path: Path, shared: Path) -> Place:
    return Place(tmp_path, shared / "cache")


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
        "search: ends early once nothing more is to be gained; at most 2 trials",
        r"   1/2  torch_eager contiguous float32, batch 1, 1x[0-9]+  [0-9.]+/s ±[0-9.]+ %  1\.00x",
        f"         preparing onnxruntime float32 of {MODEL}",
        r"   2/2  onnxruntime float32, batch 1, 1x[0-9]+  [0-9.]+/s.*  [0-9.]+x",
        "",
        "all trials of the budget are done, after .*",
        "",
        "best      .*",
        "rate      .*",
        r"expected  [0-9.]+x \([0-9.]+ to [0-9.]+\) over the baseline, from the search alone: not confirmed",
        r"latency   p50 [0-9.]+ ms.* over [0-9]+ calls",
        r"cost      [0-9.]+ CPU seconds a sample, [0-9.]+ [KMG]iB of memory at most",
        "answers   unjudged: with random weights outputs hardly depend on the input",
        "trials    2: [01] given up as clearly slower, 0 failed",
        "          a trial's own rate is from one window: it ranks trials, and claims nothing",
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


def test_the_coordinator_of_a_whole_run_imports_no_framework(whole: Whole) -> None:
    assert whole.place.imported() & {"optuna", *FRAMEWORKS} == {"optuna"}


# -------------------------------------------------------------------------------------- a workload that does not build


def test_weights_that_are_no_state_dict_name_the_childs_log(place: Place) -> None:
    (place.folder / "weights.pth").write_text("no state_dict")
    done = place.run(*place.tune(QUICK.replace("inputs:", "weights: weights.pth, inputs:")))
    line = one_line(done)
    found = re.fullmatch(
        rf"autotune: the workload {MODEL} cannot be tuned: .*weights\.pth.* \(the whole story: (\S+)\)\n", line
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
