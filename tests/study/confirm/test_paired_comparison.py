from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import StudyError
from autotune.core.results import Candidate, InterleavedRun
from autotune.study.confirm import paired_comparison, scores
from tests.fake_executor import FakeExecutor
from tests.study.confirm.comparing import AMPLE_S, CONFIGS, CONFIRM, HW, PAIR, run, toy, until
from tests.study.fakes import WORKLOAD, plain


def measured(runs: Sequence[InterleavedRun]) -> list[tuple[int, int, str, dict[str, Candidate]]]:
    """The parts of runs that do not depend on how much time was left."""
    return [(one.spec.number, one.spec.rounds, one.spec.order, one.candidates) for one in runs]


def test_each_run_is_on_disk_before_the_next(tmp_path: Path) -> None:
    found, executor = toy(tmp_path), FakeExecutor(tmp_path)
    kept: list[int] = []

    executor.before = lambda spec, rules: kept.append(len(found.runs()))
    runs = paired_comparison.compare(found, executor, until(4), AMPLE_S, AMPLE_S, True, executor.clock)
    assert kept == [0, 1, 2, 3]
    assert found.runs() == runs
    assert [spec.folder for spec in executor.runs] == [f"{found.folder}/000{number}" for number in (1, 2, 3, 4)]
    assert [spec.configs for spec in executor.runs] == [CONFIGS] * 4


def test_a_comparison_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    whole = run(toy(tmp_path / "whole"), FakeExecutor(tmp_path / "whole"), until(8))
    found, cut = toy(tmp_path / "cut"), FakeExecutor(tmp_path / "cut", interrupt_run=4)
    with pytest.raises(KeyboardInterrupt):
        run(found, cut, until(8))
    assert len(found.runs()) == 3
    again = FakeExecutor(tmp_path / "cut")
    resumed = run(found, again, until(8))
    assert [spec.number for spec in again.runs] == [4, 5, 6, 7, 8]
    assert (again.runs[0].folder, again.runs[0].order) == (cut.runs[3].folder, cut.runs[3].order)
    assert measured(resumed) == measured(whole) == measured(found.runs())
    third = FakeExecutor(tmp_path / "cut")
    assert run(found, third, until(8)) == resumed
    assert third.runs == []


def test_another_question_has_another_folder(tmp_path: Path) -> None:
    found = toy(tmp_path)
    others = [
        toy(tmp_path, name="other"),
        toy(tmp_path, configs=PAIR),
        toy(tmp_path, configs=CONFIGS | {"c": plain(HW, 4)}),
        toy(tmp_path, workload=msgspec.structs.replace(WORKLOAD, seed=1)),
    ]
    assert len({found.folder, *(other.folder for other in others)}) == 5
    assert toy(tmp_path, configs=dict(CONFIGS)).folder == found.folder
    run(found, FakeExecutor(tmp_path), until(2))
    assert [other.runs() for other in others] == [[], [], [], []]


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', '{"format": 9}'])
def test_a_damaged_run_is_named_and_can_be_made_again(tmp_path: Path, damage: str) -> None:
    found = toy(tmp_path)
    before = run(found, FakeExecutor(tmp_path), until(4))
    path = tmp_path / found.folder / "0002" / "sitting.json"
    path.write_text(damage)
    with pytest.raises(StudyError, match=r"0002/sitting\.json (is damaged.*delete it|has format 9)"):
        run(found, FakeExecutor(tmp_path), until(4))
    path.unlink()
    again = FakeExecutor(tmp_path)
    after = run(found, again, until(4))
    assert [spec.number for spec in again.runs] == [2]
    assert [one.spec.number for one in after] == [1, 2, 3, 4]
    assert after[2:] == before[2:]
    assert found.runs() == after


def test_what_does_not_fit_together_is_started_one_by_one(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)
    run(toy(tmp_path), executor, until(3), together=False)
    assert [spec.together for spec in executor.runs] == [False] * 3


def test_what_spins_while_it_is_stopped_is_started_one_by_one(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path, idle_share=2 * CONFIRM.idle_share)
    run(toy(tmp_path), executor, until(3))
    assert [spec.together for spec in executor.runs] == [True, False, False]
    calm = FakeExecutor(tmp_path, idle_share=CONFIRM.idle_share)
    run(toy(tmp_path, name="calm"), calm, until(3))
    assert [spec.together for spec in calm.runs] == [True] * 3


def test_runs_of_joined_comparisons_count_whatever_is_compared_later(tmp_path: Path) -> None:
    """The later one has one of the earlier configurations, and one that was never measured."""
    earlier = run(toy(tmp_path, configs=PAIR, joined=True), FakeExecutor(tmp_path), until(2))
    later = toy(tmp_path, configs={name: CONFIGS[name] for name in "bc"}, joined=True)
    assert later.runs() == earlier
    executor = FakeExecutor(tmp_path)
    runs = run(later, executor, until(4))
    assert [spec.number for spec in executor.runs] == [3, 4]
    assert [set(spec.configs) for spec in executor.runs] == [{"b", "c"}] * 2
    assert runs[:2] == earlier
    table = scores.table(runs, list(CONFIGS), 0.95)
    assert (table.counts("a", "b")[0], table.counts("b", "c")[0], table.counts("a", "c")[0]) == (2, 2, 0)
    assert table.difference("a", "c").low is not None
    other = msgspec.structs.replace(WORKLOAD, seed=1)
    assert toy(tmp_path, joined=True, workload=other).runs() == toy(tmp_path).runs() == []
