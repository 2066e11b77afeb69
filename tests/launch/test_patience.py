from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from autotune.core.protocol import Prepared
from autotune.core.results import Status
from autotune.launch import patience, worker_pool
from tests.launch.little_workers import failure, gathered, setup

pytestmark = pytest.mark.usefixtures("quickly")

WAITS = 'say("building"); time.sleep({s}); say("building", done=True); say("prepared")'


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "LOOK_S", 0.05)
    monkeypatch.setattr(patience, "NOTICE_S", 0.4)


def test_the_users_code_may_wait_and_a_line_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    assert gathered(tmp_path, WAITS.format(s=1.4), setup=setup(said.append, idle_s=0.3, setup_s=0.9)) == [Prepared()]
    assert said
    assert all(re.fullmatch(r"still waiting for a model \(no CPU used for \d s\)", line) for line in said)


def test_it_may_not_wait_for_ever(tmp_path: Path) -> None:
    error = failure(tmp_path, WAITS.format(s=60), setup=setup(build_s=0.7))
    said = "no answer within 1 s while building a model; limits.build_s is 0.7"
    assert (error.status, str(error)) == (Status.TIMEOUT, said)


def test_waiting_twice_counts_together(tmp_path: Path) -> None:
    twice = WAITS.format(s=0.6).replace('say("prepared")', WAITS.format(s=60))
    begin = time.monotonic()
    assert "limits.build_s is 1" in str(failure(tmp_path, twice, setup=setup(build_s=1.0)))
    assert time.monotonic() - begin < 20


def test_afterwards_doing_nothing_is_a_hang(tmp_path: Path) -> None:
    hangs = WAITS.format(s=0.8).replace('say("prepared")', "time.sleep(60)")
    error = failure(tmp_path, hangs, setup=setup(idle_s=0.6))
    said = "no answer and no work for 1 s while testing; limits.idle_s is 0.6"
    assert (error.status, str(error)) == (Status.TIMEOUT, said)


def test_the_rest_has_a_time_of_its_own(tmp_path: Path) -> None:
    busy = WAITS.format(s=0.5).replace('say("prepared")', "\nwhile True: pass")
    error = failure(tmp_path, busy, setup=setup(setup_s=0.8))
    assert str(error) == "no answer within 1 s while testing; limits.setup_s is 0.8"


def test_what_fails_in_the_users_code_may_pass(tmp_path: Path) -> None:
    fails = 'say("failed", status="prepare_failed", message="no such file")'
    building, built = 'say("building"); ', 'say("building"); say("building", done=True); '
    assert failure(tmp_path, building + fails).passing
    assert failure(tmp_path, building + "os._exit(3)").passing
    assert not failure(tmp_path, built + fails).passing
    assert not failure(tmp_path, built + "os._exit(3)").passing
    assert failure(tmp_path, built + fails.replace(")", ", passing=True)")).passing


def test_another_one_that_waits_is_waited_for(tmp_path: Path) -> None:
    waits = WAITS.format(s=1.2)
    assert gathered(tmp_path, 'say("prepared"); time.sleep(60)', waits, setup=setup(idle_s=0.4)) == [Prepared()] * 2
