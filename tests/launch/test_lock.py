from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.core.errors import MachineError
from autotune.launch import lock
from tests.conftest import ended

ROOT = Path(__file__).parents[2]

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from autotune.launch import lock
if sys.argv[2:] == ["as nobody"]:
    os.setuid(65534)
with lock.held(Path(sys.argv[1]), lambda holder: print("waiting for", holder, flush=True)) as descriptor:
    print("held", flush=True)
    if sys.argv[2:] == ["with a child"]:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor], stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def holder(path: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that takes the lock, and says so."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *more], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "measuring.lock"


class Waited(Exception):
    """Ends a test where its lock is waited for."""


def taken(path: Path) -> str | None:
    """Who holds the lock; None if it can be had."""

    def waiting(who: str) -> None:
        raise Waited(who)

    try:
        with lock.held(path, waiting):
            return None
    except Waited as waited:
        return str(waited)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_lock_is_had_and_given_back(path: Path) -> None:
    files = open_files()
    with lock.held(path, pytest.fail) as descriptor:
        assert os.fstat(descriptor).st_ino == path.stat().st_ino
        assert not os.get_inheritable(descriptor)
        assert taken(path) is not None
    assert taken(path) is None
    assert open_files() == files


def test_it_is_given_back_after_an_error(path: Path) -> None:
    files = open_files()
    with pytest.raises(ZeroDivisionError), lock.held(path, pytest.fail):
        raise ZeroDivisionError
    assert taken(path) is None
    assert open_files() == files


def test_others_may_lock_it_too(path: Path) -> None:
    with lock.held(path, pytest.fail):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_who_waits_is_told_who_holds_it(path: Path) -> None:
    with holder(path) as other:
        assert told(other) == "held"
        who = taken(path)
    assert who is not None
    assert who.startswith(f"process {other.pid} ({sys.executable} -c import os, subprocess, sys, time from pathlib ")
    assert len(who) < 160


def test_who_waits_is_told_once_and_then_has_it(path: Path) -> None:
    with holder(path) as first:
        assert told(first) == "held"
        with holder(path) as second:
            assert told(second).startswith(f"waiting for process {first.pid} (")
            first.kill()
            assert told(second) == "held"
            assert taken(path) is not None
    assert taken(path) is None


def test_a_killed_holder_lets_go(path: Path) -> None:
    with holder(path) as other:
        assert told(other) == "held"
        other.kill()
        other.wait()
        assert taken(path) is None


def test_the_children_of_a_killed_holder_still_hold_it(path: Path) -> None:
    with holder(path, "with a child") as other:
        assert told(other) == "held"
        child = int(told(other))
        try:
            other.kill()
            other.wait()
            assert taken(path) == f"process {other.pid}, or what it started and left behind"
        finally:
            os.kill(child, signal.SIGKILL)
        assert ended(child)
    assert taken(path) is None


def test_a_killed_holder_that_is_still_listed_has_no_name(path: Path) -> None:
    with holder(path, "with a child") as other:
        assert told(other) == "held"
        child = int(told(other))
        try:
            other.kill()
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
            assert Path(f"/proc/{other.pid}").exists()
            assert taken(path) == f"process {other.pid}, or what it started and left behind"
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("wrong", ["missing/measuring.lock", "file/measuring.lock"])
def test_a_lock_that_cannot_be_opened(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError) as caught:
        taken(tmp_path / wrong)
    text = str(caught.value)
    assert text.startswith(f"the machine's lock {tmp_path / wrong} cannot be opened: No")
    assert text.endswith("; name another file in AUTOTUNE_LOCK")


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder like /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="autotune-lock-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("first", "second"), [((), ("as nobody",)), (("as nobody",), ())])
def test_another_users_lock_is_one_too(common: Path, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    path = common / "measuring.lock"
    with holder(path, *first) as one:
        assert told(one) == "held"
        with holder(path, *second) as other:
            assert told(other).startswith("waiting for ")
            one.kill()
            assert told(other) == "held"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_lock_that_may_only_be_read_is_one_too(path: Path) -> None:
    path.touch()
    path.chmod(0o444)
    with lock.held(path, pytest.fail):
        assert taken(path) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_that_may_not_be_read(common: Path) -> None:
    path = common / "measuring.lock"
    path.touch()
    path.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", HOLDER, str(path), "as nobody"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].startswith(
        f"autotune.core.errors.MachineError: the machine's lock {path} cannot be"
    )


def test_the_environment_names_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_LOCK", str(path))
    assert lock.default_path() == path
    for unset in ("", None):
        monkeypatch.setenv("AUTOTUNE_LOCK", unset) if unset is not None else monkeypatch.delenv("AUTOTUNE_LOCK")
        assert lock.default_path() == Path("/tmp/autotune-measuring.lock")
