from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from autotune.cli import study_commands
from autotune.core.results import Status
from autotune.core.space_types import Limit
from autotune.report import lookup
from autotune.study.storage import store
from tests.fake_executor import speed
from tests.report import folders, made
from tests.tune_harness import TuneHarness, files, printed


def shown(study: str | Path, studies: Path, width: int = 80) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=width)
    study_commands.print_study(console, lookup.find(str(study), studies))
    return printed(console)


def test_show_prints_table_and_summary_from_the_folder_alone(harness: TuneHarness) -> None:
    harness.behave = lambda found: Status.CRASHED if found.knobs["allocator"] == "tcmalloc" else speed(found)
    _, text = harness.tune(trials=8)
    summary = "best " + text.partition("\nbest ")[2].partition("file ")[0]
    moved = harness.folder / "elsewhere"
    shutil.copytree(harness.study, moved)
    shutil.rmtree(harness.studies)
    (moved / "study.db").unlink()
    before = files(moved)
    again = shown(moved, harness.studies)
    assert files(moved) == before
    failed = sum(not result.blocks for result in store.results(moved))
    head, _, rest = again.partition(f"\n\n{failed} failed:\n")
    measured = len(store.results(moved)) - failed
    assert len(head.splitlines()) == 1 + measured and head.count("(baseline)") == 1 and failed > 0
    assert rest.count("tcmalloc: crashed: a made-up crashed") == failed
    assert again.endswith(f"\n\n{summary}file      {moved / 'best.json'}\n") and len(summary) > 100


def test_show_has_what_was_confirmed_from_the_folder_alone(harness: TuneHarness) -> None:
    _, text = harness.tune(skip_confirmation=False)
    moved = harness.folder / "elsewhere"
    shutil.copytree(harness.study, moved)
    shutil.rmtree(harness.studies)
    summary = "best " + text.partition("\nbest ")[2].partition("file ")[0]
    assert summary in shown(moved, harness.studies) and "finalists, against the baseline" in summary


def test_show_is_wide_enough_on_a_narrow_terminal(harness: TuneHarness) -> None:
    harness.tune()
    assert shown(harness.study, harness.studies, width=20) == shown(harness.study, harness.studies, width=120)


def test_show_of_a_study_that_has_only_begun(harness: TuneHarness) -> None:
    harness.interrupt_at = 0
    with pytest.raises(KeyboardInterrupt):
        harness.tune()
    assert "No configuration has been measured." in shown(harness.study, harness.studies)


def test_a_trial_that_breaks_a_limit_is_exported_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = msgspec.structs.replace(folders.SPACE, constraints=(Limit(metric="throughput", max=30.0),))
    fast = made.result(1, folders.FAST, (40, 40), feasible=False)
    study = folders.keep(tmp_path / "toy", [made.result(0, made.PLAIN, (10, 10)), fast], space=space)
    study_commands.export(str(study.folder), pick=0)
    assert capsys.readouterr().err == ""
    study_commands.export(str(study.folder), pick=1)
    out, err = capsys.readouterr()
    assert json.loads(out)["trial"] == 1
    assert err == "autotune: trial 1 breaks a limit: throughput is 40, allowed at most 30\n"


def test_another_trial_never_takes_the_place_of_the_winner(
    harness: TuneHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.tune(skip_confirmation=False)
    before = (harness.study / "best.json").read_bytes()
    study_commands.export(str(harness.study), pick=0, studies=harness.studies)
    assert (harness.study / "best.json").read_bytes() == before
    assert json.loads(capsys.readouterr().out)["trial"] == 0
    study_commands.export(str(harness.study), studies=harness.studies)
    assert (harness.study / "best.json").read_bytes() == before


def test_a_form_that_is_named_is_printed_and_the_study_is_left_alone(
    harness: TuneHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.tune()
    (harness.study / "best.json").unlink()
    capsys.readouterr()
    study_commands.export(str(harness.study), "json", studies=harness.studies)
    assert json.loads(capsys.readouterr().out)["study"] == harness.study.name
    assert not (harness.study / "best.json").exists()
