from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.executor import HookedExecutor
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from tests.fake_executor import FakeExecutor
from tests.study.fakes import WORKLOAD, machine, plain

PLAIN = plain(machine())
TRIAL = TrialSpec(id=1, workload=WORKLOAD, config=PLAIN, folder="trials/1")
RUN = InterleavedSpec(number=1, workload=WORKLOAD, configs={"a": PLAIN}, rounds=1, order="", folder="runs/1")


def test_hooks_are_called_around_each_measurement(tmp_path: Path) -> None:
    calls: list[str] = []
    fake = FakeExecutor(tmp_path, serves={PLAIN: 10.0}, before=lambda spec, rules: calls.append(spec.folder))
    hooked = HookedExecutor(fake, before=lambda: calls.append("before"), after=lambda: calls.append("after"))
    assert hooked.execute(TRIAL, MeasureRules(), 7.0).spec == TRIAL
    assert hooked.interleave(RUN, MeasureRules()) is not None
    probe = hooked.sustain(TRIAL, MeasureRules(), 5.0, 60.0).probe
    assert probe is not None and (probe.kept, probe.rate, probe.seconds) == (True, 5.0, 60.0)
    assert calls == ["before", "trials/1", "after", "before", "runs/1", "after", "before", "after"]
    assert fake.incumbents == [7.0]


def test_the_hook_after_is_called_although_the_measurement_was_interrupted(tmp_path: Path) -> None:
    calls: list[str] = []
    hooked = HookedExecutor(FakeExecutor(tmp_path, interrupt_run=1), after=lambda: calls.append("after"))
    with pytest.raises(KeyboardInterrupt):
        hooked.interleave(RUN, MeasureRules())
    assert calls == ["after"]


def test_a_check_is_no_measurement(tmp_path: Path) -> None:
    fake, calls = FakeExecutor(tmp_path), list[str]()
    HookedExecutor(fake, before=lambda: calls.append("before")).check(WORKLOAD, MeasureRules())
    assert (fake.checked, calls) == ([WORKLOAD], [])
