from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from autotune.core.confirmation import Finalist
from autotune.core.errors import StudyError
from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Limit
from autotune.report.dashboard.live_study import LiveStudy
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor
from tests.report.dashboard.samples import RESULTS, add, begin
from tests.report.folders import FAST, HOSTILE, SPACE, full, keep
from tests.report.made import HW, PLAIN, config, confirmation, result, winner
from tests.study.fakes import on_disk, resolved
from tests.tune_harness import files


@pytest.fixture
def view(tmp_path: Path) -> LiveStudy:
    """Of a folder with two trials, read once."""
    keep(tmp_path / "study", RESULTS)
    found = LiveStudy(tmp_path / "study")
    assert found.refresh()
    return found


def study_of(view: LiveStudy) -> optuna.Study:
    return optuna.load_study(study_name=None, storage=view.snapshot())


# ------------------------------------------------------------------------------------------------------- the trials


def test_trials_have_their_numbers_names_and_states(tmp_path: Path) -> None:
    keep(
        tmp_path,
        [
            *RESULTS,
            result(4, FAST, (3, 3.1), status=Status.REJECTED),
            result(5, FAST, error=HOSTILE),
            result(6, FAST, error="Ctrl-C", status=Status.INTERRUPTED),
        ],
    )
    begin(tmp_path, 7)
    view = LiveStudy(tmp_path)
    view.refresh()
    trials = study_of(view).trials
    states = [TrialState.COMPLETE] * 2 + [TrialState.FAIL] * 2 + [TrialState.PRUNED] + [TrialState.FAIL] * 2
    assert [trial.state for trial in trials] == [*states, TrialState.RUNNING]
    assert [trial.number for trial in trials] == list(range(8))
    assert trials[1].params == {"batch_size": 8, "backend": "onnxruntime", "layout": "1x2", "allocator": "system"}
    assert trials[1].values == [pytest.approx(40.2, rel=0.01)]
    assert trials[1].user_attrs["status"] == "ok" and trials[1].user_attrs["speedup_of_window"] == pytest.approx(
        4, rel=0.01
    )
    assert trials[7].params == trials[1].params
    assert "Not run" in view.note(2) and "Running" in view.note(7) and "crashed" in view.note(5)
    assert trials[5].user_attrs["error"] == " ".join(HOSTILE.split())


def test_times_are_those_of_the_trial(tmp_path: Path) -> None:
    times = ("2026-01-02T03:04:05+00:00", "2026-01-02T03:05:05+00:00")
    first, last = (result(i, PLAIN, (10,), started=time, wall_s=12.5) for i, time in zip((0, 3), times, strict=True))
    keep(tmp_path, [first, last])
    view = LiveStudy(tmp_path)
    view.refresh()
    trials = study_of(view).trials
    assert [trial.duration.total_seconds() for trial in trials if trial.duration is not None] == [12.5, 0, 0, 12.5]
    assert trials[1].datetime_start == trials[2].datetime_start == trials[0].datetime_complete, "not run, so no time"
    assert trials[3].datetime_start is not None and trials[0].datetime_start is not None
    assert (trials[3].datetime_start - trials[0].datetime_start).total_seconds() == 60


def test_limits_are_constraints_and_the_best_one_keeps_them(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, constraints=(Limit(metric="throughput", max=30.0),))
    keep(tmp_path, [RESULTS[0], msgspec.structs.replace(RESULTS[1], feasible=False)], space=space)
    view = LiveStudy(tmp_path)
    view.refresh()
    study = study_of(view)
    assert [next(iter(trial.constraints.values())) > 0 for trial in study.trials] == [False, True]
    assert view.snapshot().get_best_trial(0).number == 0


def test_the_confirmed_winner_is_the_best_trial(tmp_path: Path) -> None:
    keep(tmp_path, RESULTS, confirmation(winner(PLAIN, trial=0)))
    view = LiveStudy(tmp_path)
    view.refresh()
    assert view.snapshot().get_best_trial(0).number == 0


def test_several_objectives_have_their_names_and_directions(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, objective=("throughput", "peak_rss_bytes"))
    keep(tmp_path, [result(0, PLAIN, (10, 10), peak_rss_bytes=5), result(1, FAST, (20, 20))], space=space)
    view = LiveStudy(tmp_path)
    view.refresh()
    study = study_of(view)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["throughput", "peak_rss_bytes"]
    assert study.trials[0].values == [pytest.approx(10), 5]
    assert study.trials[1].state is TrialState.FAIL, "an objective that is unknown"


def test_a_baseline_outside_the_space_has_its_own_value(tmp_path: Path) -> None:
    keep(tmp_path, [result(0, config("torch_eager", 3), (10, 10)), *RESULTS[1:]])
    view = LiveStudy(tmp_path)
    view.refresh()
    trial = study_of(view).trials[0]
    assert trial.params["batch_size"] == 3 and 3 in trial.distributions["batch_size"].choices  # type: ignore[attr-defined]


def test_a_study_that_holds_no_trial_yet_can_be_shown(tmp_path: Path) -> None:
    keep(tmp_path, [])
    view = LiveStudy(tmp_path)
    assert view.refresh() and study_of(view).trials == []


def test_there_must_be_a_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"domains\.json cannot be read"):
        LiveStudy(tmp_path)


# -------------------------------------------------------------------------------------------------- what is new is read


def test_nothing_is_read_twice(view: LiveStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    result_of = store.result

    def counting(folder: Path, number: int) -> TrialResult | None:
        read.append(number)
        return result_of(folder, number)

    monkeypatch.setattr(store, "result", counting)
    add(view.folder, result(2, FAST, (41, 41)))
    assert view.refresh() and len(view.trials) == 3
    assert read == [1, 2], "the last one known, and the new one"
    assert not view.refresh(), "nothing is new"


def test_a_trial_begins_and_ends(view: LiveStudy) -> None:
    begin(view.folder, 2)
    assert view.refresh() and view.trials[2].state is TrialState.RUNNING and view.note(2) == "Running."
    add(view.folder, result(2, FAST, (41, 41)))
    assert view.refresh() and view.trials[2].state is TrialState.COMPLETE and "41.0/s" in view.note(2).replace("\\", "")


def test_the_word_on_the_limits_may_come_a_moment_later(view: LiveStudy) -> None:
    add(view.folder, msgspec.structs.replace(RESULTS[1], feasible=False))
    assert view.refresh() and not view.study.results[1].feasible


def test_a_confirmation_comes_and_goes(view: LiveStudy) -> None:
    for found in (confirmation(winner(FAST, trial=1)), None):
        store.write_confirmation(view.folder, found)
        assert view.refresh() and view.study.confirmation == found


def constraints(view: LiveStudy) -> list[bool]:
    """Of each trial whether its page shows it as one that breaks a limit."""
    return [any(one > 0 for one in trial.constraints.values()) for trial in study_of(view).trials]


def test_another_confirmation_makes_all_trials_anew(view: LiveStudy) -> None:
    names, note = list(view.files.paths), view.note(1)
    assert constraints(view) == [False, False]
    broken = Finalist(trial=1, config=FAST, ratio=None, broken="setup_s is 9, allowed at most 5")
    store.write_confirmation(view.folder, confirmation(None, reason="too short", finalists=(broken,)))
    opened = LiveStudy(view.folder)
    for found in (view, opened):
        assert found.refresh() and constraints(found) == [False, True]
        assert found.snapshot().get_best_trial(0).number == 0
        assert "when it was confirmed" in found.note(1)
    assert list(view.files.paths) == names, "links of an open page lead where they led"
    store.write_confirmation(view.folder, None)
    assert view.refresh() and constraints(view) == [False, False] and view.note(1) == note


def test_a_damaged_result_is_told_and_read_once_it_is_mended(view: LiveStudy) -> None:
    add(view.folder, result(2, FAST, (41, 41)))
    path = view.folder / "trials/00002/result.json"
    whole = path.read_bytes()
    path.write_text('{"<b>')
    assert view.refresh() and view.trials[2].state is not TrialState.COMPLETE
    assert "is damaged" in view.note(2) and "damaged" in str(system_attributes(view))
    path.write_bytes(whole)
    assert view.refresh() and view.trials[2].state is TrialState.COMPLETE
    assert "damaged" not in str(system_attributes(view))


def test_a_folder_that_is_gone_leaves_what_was_seen(view: LiveStudy) -> None:
    for path in sorted(view.folder.glob("trials/*/*")):
        path.unlink()
    for path in sorted(view.folder.glob("trials/*")):
        path.rmdir()
    view.refresh()
    assert len(view.trials) == 2


# ------------------------------------------------------------------------------------------------- nothing goes back


def system_attributes(view: LiveStudy) -> dict[str, Any]:
    return view.snapshot().get_study_system_attrs(0)


def test_nothing_that_is_written_to_a_snapshot_reaches_the_folder(tmp_path: Path) -> None:
    with on_disk(tmp_path, resolved(HW, trials=3), HW) as study:
        from autotune.core.rules import MeasureRules
        from autotune.study.search import driver
        from tests.study.fakes import Watcher

        driver.search(study, FakeExecutor(tmp_path), Watcher(), MeasureRules())
    before = files(tmp_path)
    view = LiveStudy(tmp_path)
    view.refresh()
    snapshot = view.snapshot()
    snapshot.set_study_user_attr(0, "a", 1)
    snapshot.set_study_system_attr(0, "dashboard:note_ver", 99)
    snapshot.delete_study(0)
    assert files(tmp_path) == before
    assert view.snapshot().get_study_name_from_id(0) == tmp_path.name


def test_artifacts_are_the_result_and_what_a_failure_said(tmp_path: Path) -> None:
    keep(tmp_path, [*RESULTS, result(2, FAST)])
    for number in (1, 2):
        (tmp_path / store.trial_folder(number) / "stderr.log").write_text("<b>Traceback")
    view = LiveStudy(tmp_path)
    view.refresh()
    found = [
        [json.loads(v) for k, v in trial.system_attrs.items() if k.startswith("artifacts:")] for trial in view.trials
    ]
    assert [[one["filename"] for one in has] for has in found] == [
        ["result.json"],
        ["result.json"],
        ["result.json", "stderr.log"],
    ]
    assert found[2][1]["mimetype"] == "text/plain; charset=utf-8"
    with view.files.open_reader(found[2][1]["artifact_id"]) as log:
        assert log.read() == b"<b>Traceback"
    assert f"(/artifacts/0/2/{found[2][1]['artifact_id']})" in view.note(2)


def test_plots_are_kept_with_the_study(tmp_path: Path) -> None:
    study = full(tmp_path)
    view = LiveStudy(study.folder)
    view.refresh()
    kept = {key.split(":")[2] for key in system_attributes(view) if key.startswith("dashboard:plot_data:")}
    assert kept == {"path", "rates", "heat-map", "failures"}


def test_no_password_of_a_storage_is_in_a_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    keep(tmp_path, RESULTS)
    view = LiveStudy(tmp_path)
    view.refresh()
    assert "hunter2" not in str(system_attributes(view)) + view.note(0) + view.note(1)
