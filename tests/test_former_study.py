"""A study that the version before the packages made: every command still opens it."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autotune.apply import best_file, verify
from autotune.cli import app, tune
from autotune.report import report_formats
from autotune.report.dashboard.live_study import LiveStudy
from autotune.report.export import writer
from autotune.space import find
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor

FORMER = Path(__file__).parent / "data" / "former_study"
NAME = "quick@intel-xeon-2c"
"""As the command of that study names it today."""

Run = Callable[..., str]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, in the folder where commands look for studies."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(FORMER, tmp_path / "studies" / NAME))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; returns what it prints."""

    def command(*argv: str) -> str:
        monkeypatch.setattr(sys, "argv", ["autotune", *argv])
        with pytest.raises(SystemExit) as ended:
            app.main()
        printed, mistake = capfd.readouterr()
        assert (ended.value.code, mistake) == (0, "")
        return printed

    return command


def test_show(study: Path, run: Run) -> None:
    printed = run("show", NAME)
    assert "9.03x (8.18 to 9.96)     openvino float32, batch 8, 2x1, tbbmalloc: the fastest" in printed
    assert "3.91x (1.76 to 8.65)     backend openvino instead of torch_eager" in printed


@pytest.mark.parametrize("form", sorted(report_formats.FORMATS))
def test_report(form: str, study: Path, run: Run) -> None:
    assert "report." in run("report", NAME, "--format", form)


@pytest.mark.parametrize("form", sorted(set(writer.formats()) - {"onnxruntime", "torchserve"}))
def test_export(form: str, study: Path, run: Run) -> None:
    """In every format that its winner's runtime has."""
    assert run("export", NAME, "--format", form).strip()


def test_export_of_another_trial(study: Path, run: Run) -> None:
    assert '"trial": 2' in run("export", NAME, "--format", "json", "--pick", "2")


def test_compare(study: Path, run: Run) -> None:
    shutil.copytree(study, study.with_name("other"))
    assert NAME in run("compare", NAME, "other")


def test_dashboard(study: Path) -> None:
    """Its trials by their numbers, of which one was never written, and a note on each."""
    view = LiveStudy(study)
    view.refresh()
    trials = view.snapshot().get_all_trials(0)
    assert [trial.number for trial in trials] == list(range(13))
    assert all(view.note(trial.number) for trial in trials)


def test_best_json(study: Path) -> None:
    best = best_file.read(study / "best.json")
    assert best == verify.claimed(study / "best.json")
    assert best.measured.speedup is not None and best.measured.speedup.runs == 6


def test_it_goes_on(study: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its trials are done and its claim is complete: nothing is measured again, and best.json is as it was."""

    def before_measuring(*_: object) -> None:
        raise AssertionError("something was measured")

    @contextlib.contextmanager
    def executor(_: object, folder: Path, *__: object) -> Iterator[FakeExecutor]:
        yield FakeExecutor(folder, before=before_measuring)

    monkeypatch.setattr(tune, "LocalExecutor", executor)
    monkeypatch.setattr(tune.probe, "probe", lambda **_: store.hardware(FORMER))
    monkeypatch.setattr(find, "SHIPPED", (FORMER,))
    printed = run("--space", str(FORMER / "space.yaml"), "--trials", "12")
    assert "going on after trial" in printed and "nothing is left to do" in printed
    before, now = (best_file.read(folder / "best.json") for folder in (FORMER, study))
    assert (now.config, now.environment, now.confirmed) == (before.config, before.environment, before.confirmed)
    assert now.measured.speedup == before.measured.speedup
