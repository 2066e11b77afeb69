from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Goal, Limit
from autotune.core.specs import TrialSpec
from autotune.study.ranking import Ranking
from autotune.study.search import outcome
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from tests.fake_executor import measured
from tests.study.fakes import WORKLOAD, machine, plain

BASELINE, OTHER, THIRD = (plain(machine(), size) for size in (1, 8, 16))


def trial(number: int, size: int, status: Status = Status.OK) -> TrialResult:
    spec = TrialSpec(id=number, workload=WORKLOAD, config=plain(machine(), size), folder=store.trial_folder(number))
    if status is Status.OK:
        return measured(spec, 10.0)
    return TrialResult(spec=spec, status=status, error="it broke")


def test_a_baseline_that_failed_and_a_trial_that_was_cut_short_are_not_done() -> None:
    failed = [trial(0, 1, Status.CRASHED), trial(1, 8, Status.INTERRUPTED), trial(2, 16, Status.CRASHED)]
    assert outcome.completed(failed, BASELINE) == {THIRD.key: 2}
    again = [*failed, trial(3, 1), trial(4, 8)]
    assert outcome.completed(again, BASELINE) == {THIRD.key: 2, BASELINE.key: 3, OTHER.key: 4}
    assert outcome.outcome("trials", again, BASELINE, 5.0) == Outcome("trials", trials=3, failed=1, elapsed_s=5.0)


def test_a_result_that_breaks_a_limit_is_judged_once_on_disk(tmp_path: Path) -> None:
    goal = Goal(limits=(Limit(metric="throughput", min=20.0),))
    result = trial(0, 1)
    (tmp_path / result.spec.folder).mkdir(parents=True)
    store.write_result(tmp_path, result)
    final = outcome.judged(tmp_path, result, Ranking([result], goal))
    assert final == msgspec.structs.replace(result, feasible=False) == store.result(tmp_path, 0)
    (tmp_path / result.spec.folder / "result.json").unlink()
    assert outcome.judged(tmp_path, final, Ranking([final], goal)) == final
    assert outcome.judged(tmp_path, result, Ranking([result], Goal())) == result
    assert store.result(tmp_path, 0) is None


def test_a_failure_is_described_with_its_error() -> None:
    assert outcome.description(trial(0, 1, Status.OUT_OF_MEMORY)) == "out of memory: it broke"
