from __future__ import annotations

import msgspec

from autotune.core import rules
from autotune.core.rules import MeasureRules
from autotune.core.space_types import TimeLimits


def test_each_limit_of_a_space_file_sets_its_rule() -> None:
    found = rules.within(MeasureRules(), TimeLimits(build_s=1, prepare_s=2, setup_s=3, idle_s=4))
    times = (found.build_timeout_s, found.prepare_timeout_s, found.setup_timeout_s, found.idle_timeout_s)
    assert times == (1, 2, 3, 4)


def test_what_is_not_limited_stays() -> None:
    assert rules.within(MeasureRules(), TimeLimits()) == MeasureRules()
    changed = rules.within(MeasureRules(), TimeLimits(setup_s=5))
    assert changed == msgspec.structs.replace(MeasureRules(), setup_timeout_s=5)
