from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.space_types import Goal, Limit
from autotune.study.confirm.constraints import Constraints
from tests.study.confirm.starts import run


@pytest.mark.parametrize("together", [True, False])
def test_a_limit_on_the_time_to_set_up_is_broken_only_by_a_start_alone(together: bool) -> None:
    limits = Constraints(Path(), Goal(limits=(Limit(metric="setup_s", max=5.0),)), 0.95)
    assert (limits.broken([run(1, 9.0, together=together)], "a") is None) is together


def test_a_hard_limit_on_the_time_to_set_up_was_checked_by_the_trial_and_others_refuse() -> None:
    start, outputs = (Limit(metric=name, min=0.99, unjudged="reject") for name in ("setup_s", "cosine_similarity"))
    assert Constraints(Path(), Goal(limits=(start,)), 0.95).broken([run(1, 9.0)], "a") is None
    assert Constraints(Path(), Goal(limits=(start,)), 0.95).broken([run(1, 9.0)], "a", tried=False) is not None
    broken = Constraints(Path(), Goal(limits=(start, outputs)), 0.95).broken([run(1, 9.0)], "a")
    assert broken is not None and broken.limit == outputs


def test_the_limit_that_is_broken_the_most_is_named() -> None:
    near, far = Limit(metric="throughput", min=11.0), Limit(metric="throughput", min=50.0)
    runs = [run(1, 1.0)]
    broken = Constraints(Path(), Goal(limits=(near, far)), 0.95).broken(runs, "a")
    assert broken is not None and broken.limit == far
    assert Constraints(Path(), Goal(limits=(Limit(metric="throughput", min=9.0),)), 0.95).broken(runs, "a") is None


def test_a_candidate_without_a_block_breaks_nothing() -> None:
    limits = Constraints(Path(), Goal(limits=(Limit(metric="throughput", min=50.0),)), 0.95)
    assert limits.checks([run(1, 1.0, names="b")], "a") == ()
    assert limits.broken([run(1, 1.0, names="b")], "a") is None
