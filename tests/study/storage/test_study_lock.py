from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.core.errors import StudyError
from autotune.core.results import Status
from autotune.launch import orphans
from autotune.study.storage import opening, store
from tests.study import coordinator
from tests.study.fakes import SMALL, TEXT, machine, on_disk, resolved

HW = machine()
SPACE = resolved(HW, SMALL, trials=5)


def test_a_study_whose_lock_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    (tmp_path / "s" / "lock").unlink()
    (tmp_path / "s" / "lock").mkdir()
    with pytest.raises(StudyError, match="s cannot be written: Is a directory"), on_disk(tmp_path / "s", SPACE, HW):
        pass


def test_the_lock_is_not_inherited_by_children(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW), (tmp_path / "s" / "lock").open() as file:
        flags = [
            fcntl.fcntl(int(entry), fcntl.F_GETFD)
            for entry in os.listdir("/proc/self/fd")
            if int(entry) != file.fileno() and _is(entry, tmp_path / "s" / "lock")
        ]
    assert flags and all(flag & fcntl.FD_CLOEXEC for flag in flags)


def _is(entry: str, path: Path) -> bool:
    try:
        return Path(f"/proc/self/fd/{entry}").readlink() == path
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is noted as a launcher notes its own."""
    folder.mkdir(parents=True)
    process = subprocess.Popen(["sleep", "90"], start_new_session=True)
    orphans.note(folder / "processes.json", [process.pid])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "place", ["trials/00003", "confirmation/finalists-0a/0001/trial-1", "confirmation/served/trial-1-0"]
)
def test_what_a_killed_coordinator_left_running_is_ended_by_the_check(tmp_path: Path, place: str) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    folder = tmp_path / "s" / place
    with worker(folder) as left:
        opening.check(tmp_path / "s", SPACE, TEXT, HW)
        assert left.wait(10) == -signal.SIGKILL
    assert os.listdir(folder) == []


def test_the_workers_of_a_coordinator_that_holds_the_lock_are_left_alone(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW), worker(tmp_path / "s" / "trials" / "00003") as running:
        with pytest.raises(StudyError, match=f"is being written by process {os.getpid()}"):
            opening.check(tmp_path / "s", SPACE, TEXT, HW)
        assert running.poll() is None


def test_of_two_coordinators_that_begin_at_once_one_runs_and_the_other_ends_in_one_line(tmp_path: Path) -> None:
    """The one that runs ends no trial before the other is over."""
    folder = tmp_path / "s"
    both = [coordinator.start(folder, "together", 4) for _ in range(2)]
    try:
        for process in both:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        (tmp_path / "go").touch()
        deadline = time.monotonic() + 60
        while all(process.poll() is None for process in both):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        loser, winner = sorted(both, key=lambda process: process.poll() is None)
        (tmp_path / "end").touch()
        assert (winner.communicate()[1], winner.returncode) == (b"", 0)
        message = loser.communicate()[1].decode()
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert loser.returncode == 2
    said = f"the study {folder} is being written by process {winner.pid}; wait for it, or choose another --name\n"
    assert message == said
    results = store.results(folder)
    assert [result.status for result in results] == [Status.OK] * 4
    assert len({result.spec.config.key for result in results}) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["end", "go", "s"]
    with on_disk(folder, resolved(HW, SMALL, trials=4), HW) as study:
        assert [trial.number for trial in study.optuna.trials] == [0, 1, 2, 3]
