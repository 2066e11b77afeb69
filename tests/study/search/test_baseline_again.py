"""A baseline that was disturbed is measured again, once, before the search ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.study.ranking import Ranking
from autotune.study.search.driver import search
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import Clock, FakeExecutor, speed
from tests.study.fakes import SMALL, Watcher, in_memory, plain, resolved
from tests.study.search.searching import HW, RULES

BASE = plain(HW)
QUIET: tuple[str, ...] = ()
OTHERS = ("others",)


@dataclass
class Disturbed(FakeExecutor):
    """A machine on which the blocks of the baseline's n-th trial bear the n-th of these disturbances."""

    baselines: Sequence[Sequence[tuple[str, ...]]] = ()
    trial_s: float = 0.0
    interrupted: Callable[[int], bool] = lambda number: False
    times: list[int] = field(default_factory=list)

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        result = super().execute(spec, rules, incumbent)
        self.clock.now += self.trial_s
        result = msgspec.structs.replace(result, wall_s=self.trial_s)
        if spec.config == BASE:
            self.times.append(spec.id)
            gates = self.baselines[min(len(self.times), len(self.baselines)) - 1]
            blocks = [msgspec.structs.replace(block, disturbances=one) for block in result.blocks[:1] for one in gates]
            result = msgspec.structs.replace(result, blocks=tuple(blocks))
            if self.interrupted(len(self.times)):
                result = msgspec.structs.replace(result, status=Status.INTERRUPTED, blocks=())
        store.write_result(self.root, result)
        return result


def searched(study: OpenStudy, ran: Disturbed, pause_gain: float | None = None) -> Outcome:
    return search(study, ran, Watcher(), RULES, pause_gain=pause_gain, clock=ran.clock)


def base(study: OpenStudy) -> TrialResult:
    found = Ranking(store.results(study.folder), study.space.goal).baseline(BASE)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ([QUIET] * 3, False),
        ([QUIET] * 9 + [OTHERS], False),
        ([QUIET] * 5 + [OTHERS], True),
        ([OTHERS] * 3, True),
        ([QUIET], True),
    ],
)
def test_only_a_baseline_that_was_disturbed_or_too_short_is_measured_again(
    tmp_path: Path, first: list[tuple[str, ...]], again: bool
) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=4), HW)
    ran = Disturbed(tmp_path, baselines=[first, [QUIET] * 3])
    outcome = searched(study, ran)
    assert (outcome.reason, outcome.trials) == ("trials", 4)  # it takes no place of the budget
    assert ran.times == ([0, 4] if again else [0])
    assert base(study).spec.id == ran.times[-1]


def test_the_less_disturbed_one_counts_and_it_is_not_measured_a_third_time(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, SMALL), HW)
    ran = Disturbed(tmp_path, baselines=[[QUIET, OTHERS], [OTHERS, OTHERS]])
    reason = searched(study, ran).reason
    assert len(ran.times) == 2 and base(study).spec.id == 0
    trials = len(ran.trials)
    assert searched(study, ran).reason == reason
    assert len(ran.trials) == trials


def test_one_that_is_cut_short_is_measured_again_when_the_study_goes_on(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=3), HW)
    ran = Disturbed(tmp_path, baselines=[[OTHERS], [QUIET] * 3], interrupted=lambda number: number == 2)
    searched(study, ran)
    assert base(study).spec.id == 0
    searched(study, ran)
    assert len(ran.times) == 3 and base(study).spec.id == ran.times[-1]
    searched(study, ran)
    assert len(ran.times) == 3


def test_one_that_fails_then_stops_nothing(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW, trials=3), HW)
    ran = Disturbed(tmp_path, baselines=[[OTHERS] * 2])
    ran.behave = lambda config: Status.CRASHED if config == BASE and ran.times else speed(config)
    assert searched(study, ran).reason == "trials"
    assert len(ran.times) == 2 and base(study).spec.id == 0


def test_its_time_is_kept_from_the_other_trials(tmp_path: Path) -> None:
    space = resolved(HW, minutes=2)
    study = in_memory(tmp_path / "s", space, HW)
    ran = Disturbed(tmp_path / "s", baselines=[[OTHERS] * 2, [QUIET] * 3], trial_s=20)
    outcome = searched(study, ran)
    assert len(ran.times) == 2 and base(study).spec.id == ran.times[-1]
    assert outcome.elapsed_s <= 120 and outcome.reason == "minutes"
    late = in_memory(tmp_path / "late", resolved(HW, minutes=0.5), HW)
    short = Disturbed(tmp_path / "late", baselines=[[OTHERS] * 2], trial_s=20)
    searched(late, short)
    assert short.times == [0] and len(short.trials) == 2  # something to compare it with comes first


def test_the_search_ends_as_settled_again_once_it_was_measured_again(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW), HW)
    ran = Disturbed(tmp_path, baselines=[[OTHERS] * 2, [QUIET] * 3], clock=Clock())
    assert searched(study, ran).reason == "settled"
    trials = len(ran.trials)
    assert searched(study, ran).reason == "settled"
    assert len(ran.trials) == trials


def test_a_search_that_pauses_leaves_it_to_the_end(tmp_path: Path) -> None:
    study = in_memory(tmp_path, resolved(HW), HW)
    ran = Disturbed(tmp_path, baselines=[[OTHERS] * 2, [QUIET] * 3], clock=Clock())
    assert searched(study, ran, pause_gain=math.log(1.10)).reason == "paused"
    assert ran.times == [0]
    paused = len(ran.trials)
    assert searched(study, ran, pause_gain=math.log(1.10)).reason == "paused"
    assert len(ran.trials) == paused
    assert searched(study, ran).reason == "settled"
    assert len(ran.times) == 2 and len(ran.trials) > paused
