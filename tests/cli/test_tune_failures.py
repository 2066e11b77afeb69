from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.cli import invocation, tune
from autotune.core.errors import ModelError, SpaceError, StudyError
from autotune.core.executor import Checked
from autotune.core.results import Status
from autotune.launch import orphans
from autotune.study.search.transfer import WarmStart
from autotune.study.storage import store, study_lock
from tests.fake_executor import speed
from tests.tune_harness import SPACE, TuneHarness


def test_an_interruption_prints_the_best_so_far_and_how_to_go_on(
    harness: TuneHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--space", str(harness.folder / "toy.yaml"), "--studies", "my studies"]
    monkeypatch.setattr(sys, "argv", ["autotune", *command])
    harness.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        harness.tune()
    lines = harness.printed.splitlines()
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      ")
    (last,) = [line for line in lines if line.startswith("go on ")]
    assert shlex.split(last.removeprefix("go on")) == [*shlex.split(invocation.program()), *command]
    assert lines[-1] == last
    assert len(store.results(harness.study)) == 3
    before = harness.best()
    assert before.config in harness.executors[0].configs

    harness.interrupt_at = None
    harness.tune()
    assert "going on after trial 2\n" in harness.printed
    settled = [found for found in store.results(harness.study) if found.status is Status.OK]
    assert len(settled) == 4 and len(harness.executors[1].trials) == 2


def test_an_interruption_before_the_first_result_leaves_no_best_json(harness: TuneHarness) -> None:
    harness.interrupt_at = 0
    with pytest.raises(KeyboardInterrupt):
        harness.tune()
    assert not (harness.study / "best.json").exists()
    assert f"go on     {invocation.program()}" in harness.printed


def test_a_study_that_another_process_has_taken_meanwhile_is_left_alone(
    harness: TuneHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins between the check and the opening, and has a worker by then."""
    harness.tune()
    with contextlib.ExitStack() as other:

        def find(folder: Path, *_: object) -> WarmStart:
            other.enter_context(study_lock.locked(folder))
            other.enter_context(running)
            orphans.note(folder / "trials" / "00003" / "processes.json", [running.pid])
            return WarmStart()

        running = subprocess.Popen(["sleep", "90"], start_new_session=True)
        monkeypatch.setattr(tune.transfer, "find", find)
        with pytest.raises(StudyError, match="is being written by process"):
            harness.tune(trials=6)
        assert running.poll() is None
        running.kill()


def test_an_edit_of_the_space_file_while_the_machine_is_checked_changes_nothing(
    harness: TuneHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object) -> Checked:
        (harness.folder / "toy.yaml").write_text("name: another\n")
        return Checked()

    monkeypatch.setattr(harness, "check", check)
    assert harness.tune()[0]
    assert (harness.study / "space.yaml").read_text() == SPACE


INT8 = """\
name: toy
workload: {model: "python:net.py:build"}
search:
  backend:
    torch_eager: {}
    onnxruntime: {precision: [float32, int8]}
"""


def test_few_real_rows_leave_int8_out_and_the_study_goes_on_so(harness: TuneHarness) -> None:
    (harness.folder / "net.py").touch()
    harness.found = Checked(different_rows=1)
    for text in (INT8, f"{INT8}# another comment\n"):
        _, said = harness.tune(text)
        assert (
            "\nleft out  onnxruntime.precision int8: int8 would be calibrated and judged on one example row: " in said
        )
        assert "up to 2 configurations" in said
    assert {config.options.get("precision") for config in harness.executors[0].configs} == {"float32"}
    harness.found = Checked(different_rows=8)
    _, said = harness.tune(INT8, name="eight")
    assert "left out  onnxruntime" not in said and "up to 3 configurations" in said


def test_an_earlier_studys_int8_is_not_tried_where_it_is_left_out(harness: TuneHarness) -> None:
    (harness.folder / "net.py").touch()
    harness.found = Checked(different_rows=8)
    harness.behave = lambda config: 90.0 if config.options.get("precision") == "int8" else 10.0
    harness.tune(INT8, name="eight")
    harness.found = Checked(different_rows=6)
    harness.tune(INT8, name="six")
    assert "int8" in {config.options.get("precision") for config in harness.executors[0].configs}
    assert {config.options.get("precision") for config in harness.executors[1].configs} == {"float32"}


def test_a_space_file_in_another_encoding_is_one_line(harness: TuneHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "find", lambda _: harness.folder / "latin.yaml")
    (harness.folder / "latin.yaml").write_bytes(SPACE.encode() + "# größe\n".encode("latin-1"))
    with pytest.raises(SpaceError, match=r"latin\.yaml, line 12, is not UTF-8; save it as UTF-8"):
        harness.tune()


def test_nothing_measured_is_no_success(harness: TuneHarness) -> None:
    harness.behave = lambda config: Status.INTERRUPTED
    measured, text = harness.tune()
    assert not measured
    assert "\nthey were too few for a trial; raise --minutes\n" in text
    assert "No configuration has been measured." in text
    assert not (harness.study / "best.json").exists()


def test_a_workload_that_cannot_be_built_leaves_no_folder(harness: TuneHarness) -> None:
    harness.broken = True
    with pytest.raises(ModelError):
        harness.tune()
    assert not harness.studies.exists()
    assert harness.printed == ""


def test_a_failure_says_why_in_its_line(harness: TuneHarness) -> None:
    harness.behave = lambda found: Status.TIMEOUT if found.backend == "onnxruntime" else speed(found)
    _, text = harness.tune()
    line = next(line for line in text.splitlines() if "onnxruntime" in line)
    assert re.search(r"timeout  a made-up timeout \(trial \d\)$", line)
    failed = sum(found.backend == "onnxruntime" for found in harness.executors[0].configs)
    assert failed > 0 and f", {failed} failed\n" in text


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-x", "a b", "ä", "a\nb", "x" * 20 + "/"])
def test_a_study_has_a_plain_name(harness: TuneHarness, name: str) -> None:
    with pytest.raises(StudyError, match=r"cannot be named .*; allowed are letters, digits and \._@\+-"):
        harness.tune(name=name) if name else tune._checked_name(name)
    assert os.listdir(harness.folder) in (["toy.yaml"], [])


def test_ordinary_names_are_taken(harness: TuneHarness) -> None:
    harness.tune(name="A1._@+-z", trials=1)
    assert (harness.studies / "A1._@+-z" / "best.json").exists()
