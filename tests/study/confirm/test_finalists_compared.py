"""Who is compared, and what ends a comparison, where the best two by their windows are not the best."""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.config import Config
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm.names import BASELINE
from tests.fake_executor import FakeExecutor, at
from tests.study.confirm.confirming import CONFIRM, PLAIN, SECOND, by_trial, config, confirmed
from tests.study.fakes import Watcher, searched

LUCKY = config(16, "onnxruntime")
BEST = config(16, "openvino")
WINDOWS: dict[Config, float] = {PLAIN: 10.0, LUCKY: 20.0, SECOND: 17.0, BEST: 14.0}


def test_that_there_is_no_gain_is_said_of_all_finalists(tmp_path: Path) -> None:
    """The best two by their windows gain nothing, the third does."""
    executor = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, LUCKY: 10.0, SECOND: 10.0, BEST: 13.0}))
    found = confirmed(searched(tmp_path, WINDOWS, 600), executor)
    assert found is not None and found.finished and found.gain
    assert found.winner is not None and found.winner.config == BEST


def test_without_time_for_all_finalists_no_gain_is_not_the_end(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path, candidate=at({PLAIN: 10.0, LUCKY: 10.0, SECOND: 10.0}), start_s=5.0)
    watcher = Watcher()
    found = confirmed(searched(tmp_path, WINDOWS, 2), executor, watcher=watcher)
    assert found is not None and (found.confirmed, found.gain, found.finished) == (True, False, False)
    assert by_trial(found)[3].ratio is None
    assert watcher.notices == ["there was no time to compare trial 2, trial 3 with the baseline"]


def test_the_best_two_do_not_take_the_time_of_the_others(tmp_path: Path) -> None:
    """They stay undecided: after the runs of a claim the third joins."""

    def candidate(name: str, spec: InterleavedSpec) -> float:
        swings = 1.25 if spec.number % 2 else 0.8
        known = {PLAIN: 10.0, LUCKY: 10.6 * swings, SECOND: 10.5 / swings, BEST: 14.0}
        return known.get(spec.configs[name], 12.0)

    executor = FakeExecutor(tmp_path, candidate=candidate)
    found = confirmed(searched(tmp_path, WINDOWS, 600), executor)
    joined = next(place for place, spec in enumerate(executor.runs) if BEST in spec.configs.values())
    assert joined <= CONFIRM.sure_runs
    assert found is not None and found.winner is not None and found.winner.config == BEST


def test_a_study_that_goes_on_again_and_again_is_measured_each_time(tmp_path: Path) -> None:
    """The most runs of a comparison are those of one of its starts, not of its whole life."""
    few = msgspec.structs.replace(CONFIRM, most_runs=4, sure_runs=3)
    noisy = FakeExecutor(tmp_path, noise=0.3, candidate=at({PLAIN: 10.0, LUCKY: 10.5, SECOND: 10.4, BEST: 10.3}))
    study = searched(tmp_path, WINDOWS, 600)
    counts = []
    for _ in range(3):
        before = len(noisy.runs)
        confirmed(study, noisy, few)
        counts.append(len(noisy.runs) - before)
        if any(BASELINE not in spec.configs for spec in noisy.runs):
            break
    assert counts[0] >= few.most_runs and sum(counts) > few.most_runs
