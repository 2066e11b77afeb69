from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import StudyError
from autotune.core.specs import TrialSpec
from autotune.study.storage import store
from tests.fake_executor import measured
from tests.study.fakes import WORKLOAD, machine, plain


def keep(folder: Path, number: int) -> Path:
    spec = TrialSpec(id=number, workload=WORKLOAD, config=plain(machine()), folder=store.trial_folder(number))
    path = folder / spec.folder / "result.json"
    path.parent.mkdir(parents=True)
    store.write_result(folder, measured(spec, 5.0))
    return path


def test_results_come_in_the_order_of_their_trials(tmp_path: Path) -> None:
    for number in (100000, 2, 17):
        keep(tmp_path, number)
    (tmp_path / "trials" / "00030").mkdir()
    (tmp_path / "trials" / "notes.txt").write_text("not a trial")
    assert [result.spec.id for result in store.results(tmp_path)] == [2, 17, 100000]
    assert store.numbers(tmp_path) == [2, 17, 30, 100000]
    assert store.result(tmp_path, 30) is None


def test_a_folder_without_trials_has_no_results(tmp_path: Path) -> None:
    assert store.results(tmp_path) == []
    assert store.elapsed_s(tmp_path) == 0


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', "[]", "\x00\x00"])
def test_a_damaged_result_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    keep(tmp_path, 1)
    path = keep(tmp_path, 2)
    path.write_text(damage)
    with pytest.raises(StudyError, match=r"trials/00002/result\.json is damaged.*delete it") as caught:
        store.results(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_newer_format_is_refused_by_name_whatever_else_it_holds(tmp_path: Path) -> None:
    path = keep(tmp_path, 3)
    path.write_bytes(msgspec.json.encode({"format": 2, "anything": 1}))
    with pytest.raises(StudyError, match=r"result\.json has format 2; this version of autotune reads up to 1"):
        store.results(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"domains\.json cannot be read: No such file"):
        store.space(tmp_path)


def test_elapsed_time_is_kept(tmp_path: Path) -> None:
    store.write_elapsed(tmp_path, 12.34567)
    assert store.elapsed_s(tmp_path) == 12.346


def test_the_options_of_the_last_run_are_kept(tmp_path: Path) -> None:
    assert store.options(tmp_path) == store.Options()
    store.write_options(tmp_path, store.Options(storage="mysql://host/db", skip_confirmation=True))
    assert store.options(tmp_path) == store.Options(storage="mysql://host/db", skip_confirmation=True)
