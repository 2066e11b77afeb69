from __future__ import annotations

from autotune.core.space_types import TimeLimits
from tests.tune_harness import SPACE, TuneHarness


def test_the_time_limits_of_this_run_hold_and_are_handed_on(harness: TuneHarness) -> None:
    harness.tune(SPACE + "limits: {setup_s: 500}\n")
    harness.tune(SPACE.replace("{trials: 4}", "{trials: 5}") + "limits: {setup_s: 900, build_s: 7200}\n")
    first, second = (executor.rules for executor in harness.executors)
    assert {(rules.setup_timeout_s, rules.build_timeout_s) for rules in first} == {(500, 1800)}
    assert {(rules.setup_timeout_s, rules.build_timeout_s) for rules in second} == {(900, 7200)}
    assert harness.best().limits == TimeLimits(setup_s=900, build_s=7200)
