"""Whole studies, search and confirmation, on machines that take long, change or are shared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Space
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.study import stages
from autotune.study.confirm.names import BASELINE
from tests.fake_executor import FakeExecutor, speed
from tests.study.fakes import Watcher, in_memory, machine, plain, resolved

HW = machine()
RULES, CONFIRM = MeasureRules(), ConfirmRules()
SLOW_BASELINE = speed(plain(HW))


@dataclass
class Timed(FakeExecutor):
    """Trials take their time, too."""

    trial_s: float = 5.0

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        self.clock.now += self.trial_s
        return super().execute(spec, rules, incumbent)


def ran(executor: FakeExecutor, space: Space) -> Confirmation:
    study = in_memory(executor.root, space, HW)
    _, found = stages.run(study, executor, Watcher(), RULES, CONFIRM, clock=executor.clock)
    assert found is not None
    return found


def truth(found: Confirmation, baseline: float = SLOW_BASELINE) -> float:
    assert found.winner is not None
    return speed(found.winner.config) / baseline


def holds(found: Confirmation, ratio: float) -> bool:
    assert found.winner is not None and found.winner.ratio is not None
    low, high = found.winner.ratio.low, found.winner.ratio.high
    return low is not None and high is not None and low <= ratio <= high


def test_a_budget_of_a_minute_is_kept(tmp_path: Path) -> None:
    executor = Timed(tmp_path, trial_s=6.0, start_s=1.5, round_s=0.6)
    begin = executor.clock.now
    found = ran(executor, resolved(HW, minutes=1))
    assert executor.clock.now - begin <= 66
    assert found.gain and found.winner is not None and found.winner.runs >= CONFIRM.runs
    assert holds(found, truth(found))


def test_a_minute_that_is_too_short_for_a_claim_claims_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    executor = Timed(tmp_path, trial_s=12.0, start_s=8.0, round_s=2.0)
    found = ran(executor, resolved(HW, minutes=1))
    assert not found.gain and not found.confirmed
    assert "interleaved runs that a claim needs; the same command goes on, if need be with --minutes" in found.reason


def test_calls_of_ten_seconds_get_their_claim_within_the_shipped_budget(tmp_path: Path) -> None:
    executor = Timed(tmp_path, trial_s=45.0, start_s=6.0, round_s=10.0)
    begin = executor.clock.now
    found = ran(executor, resolved(HW, trials=28, minutes=10.5))
    assert executor.clock.now - begin <= 10.5 * 60 + 30
    assert found.gain and holds(found, truth(found))


def test_a_baseline_that_was_slow_in_its_trial_is_claimed_over_as_it_is_now(tmp_path: Path) -> None:
    """All that a user reads is then the interleaved runs' figure."""
    faster = 1.5 * SLOW_BASELINE

    def candidate(name: str, spec: InterleavedSpec) -> float:
        return faster if name == BASELINE else speed(spec.configs[name])

    found = ran(FakeExecutor(tmp_path, candidate=candidate), resolved(HW, minutes=600))
    assert found.gain and holds(found, truth(found, faster)) and not holds(found, truth(found))


@pytest.mark.parametrize("changes_at", [2, 3, 4, 5])
def test_a_baseline_that_becomes_faster_is_claimed_over_as_it_is_at_the_end(tmp_path: Path, changes_at: int) -> None:
    """The winner's own runs are the last ones."""
    executor = FakeExecutor(tmp_path)

    def candidate(name: str, spec: InterleavedSpec) -> float:
        now = 1.5 if name == BASELINE and len(executor.runs) >= changes_at else 1.0
        return now * speed(spec.configs[name])

    executor.candidate = candidate
    found = ran(executor, resolved(HW, minutes=600))
    assert found.gain and holds(found, truth(found, 1.5 * SLOW_BASELINE))


def test_a_neighbour_that_comes_and_goes_takes_from_all_alike(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)
    trials: list[Config] = []

    def behave(config: Config) -> float:
        trials.append(config)
        return speed(config) * (0.6 if len(trials) % 3 == 0 else 1.0)

    def candidate(name: str, spec: InterleavedSpec) -> float:
        return speed(spec.configs[name]) * (0.6 if len(executor.runs) % 2 else 1.0)

    executor.behave, executor.candidate = behave, candidate
    found = ran(executor, resolved(HW, minutes=600))
    assert found.gain and found.winner is not None and found.winner.ratio is not None
    assert found.winner.ratio.estimate == pytest.approx(truth(found), rel=0.03)


def test_a_baseline_that_a_neighbour_hits_every_other_run_is_judged_by_its_own_spread(tmp_path: Path) -> None:
    """Pinned threads wait for the slowest: it has a third of its rate, and the finalists, as fast as it is, have none.

    That they agree among themselves must not make the claim over it narrow.
    """
    executor = FakeExecutor(tmp_path)
    starts: list[int] = []

    def candidate(name: str, spec: InterleavedSpec) -> float:
        if name != BASELINE:
            return SLOW_BASELINE
        starts.append(spec.number)
        return SLOW_BASELINE * (1 / 3 if len(starts) % 2 else 1.0)

    executor.candidate = candidate
    found = ran(executor, resolved(HW, minutes=600))
    assert found.winner is not None and found.winner.ratio is not None and found.winner.ratio.low is not None
    assert found.winner.runs >= CONFIRM.sure_runs and found.winner.ratio.low < 1.25
