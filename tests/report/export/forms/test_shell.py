from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autotune.core.config import Placement
from autotune.report.export import writer
from tests.apply.made import best
from tests.conftest import ended
from tests.report.export.forms.samples import BOUND, CPU, NUMA, single

ENV = {"PATH": os.environ["PATH"]}


def script(folder: Path, workers: int = 2, **fields: object) -> list[str]:
    """The words that start a script whose workers share a CPU of this machine."""
    places = (Placement(cpus=(CPU,), threads=1),) * workers
    (folder / "best.sh").write_text(writer.text(best(environment={}, preload=(), layout=places, **fields), "shell"))
    return ["sh", str(folder / "best.sh")]


def test_a_program_is_pinned_and_knows_its_number(tmp_path: Path) -> None:
    show = "import os; print(os.environ['AUTOTUNE_RANK'], os.environ['AUTOTUNE_WORLD_SIZE'], os.sched_getaffinity(0))"
    argv = [*script(tmp_path), sys.executable, "-Ic", show]
    told = subprocess.run(argv, env=ENV, capture_output=True, text=True, check=True).stdout
    assert sorted(told.splitlines()) == [f"{rank} 2 {{{CPU}}}" for rank in (0, 1)]


@pytest.mark.parametrize("workers", [1, 2])
def test_its_status_comes_back(tmp_path: Path, workers: int) -> None:
    argv = [*script(tmp_path, workers), "sh", "-c", "exit 7"]
    assert subprocess.run(argv, env=ENV, check=False).returncode == 7


def test_the_first_failure_is_the_status(tmp_path: Path) -> None:
    argv = [*script(tmp_path), "sh", "-c", "exit $((AUTOTUNE_RANK * 3))"]
    assert subprocess.run(argv, env=ENV, check=False).returncode == 3


def test_a_signal_reaches_the_workers(tmp_path: Path) -> None:
    noted = f"echo $$ > {tmp_path}/$AUTOTUNE_RANK; exec sleep 100"
    running = subprocess.Popen([*script(tmp_path), "sh", "-c", noted], env=ENV)
    files = [tmp_path / "0", tmp_path / "1"]
    while not all(file.exists() and file.read_text().endswith("\n") for file in files):
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 143
    assert all(ended(int(file.read_text())) for file in files)


def test_a_missing_library_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "best.sh"
    path.write_text(writer.text(single({}, preload=("/nowhere/it's $HOME.so",)), "shell"))
    done = subprocess.run(["sh", str(path), "true"], env=ENV, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "/nowhere/it's $HOME.so is missing\n")


def test_the_cache_folder_is_the_users_own_or_a_given_one(tmp_path: Path) -> None:
    path = tmp_path / "best.sh"
    path.write_text(writer.text(single({"TMPDIR": "{cache}/a b'c", "LIST": "x:{cache}:$y"}), "shell"))
    argv = ["sh", str(path), "sh", "-c", 'echo "$TMPDIR $LIST"; test -d "$TMPDIR"']
    home = subprocess.run(argv, env=ENV | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True).stdout
    assert home == f"{tmp_path}/.cache/autotune/a b'c x:{tmp_path}/.cache/autotune:$y\n"
    given = ENV | {"AUTOTUNE_CACHE": str(tmp_path / "own")}
    told = subprocess.run(argv, env=given, capture_output=True, text=True, check=True).stdout
    assert told == f"{tmp_path}/own/a b'c x:{tmp_path}/own:$y\n"


def test_each_worker_is_bound_to_its_own_node() -> None:
    lines = writer.text(best(BOUND, NUMA), "shell").splitlines()
    starts = [line for line in lines if line.startswith("AUTOTUNE_RANK=")]
    assert [line.split("taskset ")[1].split(' "$@"')[0] for line in starts] == [
        "-c 0 /usr/bin/numactl --membind=0",
        "-c 1 /usr/bin/numactl --membind=1",
    ]
