from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from autotune.analysis.constraints import ConstraintCheck
from autotune.core.estimate import Estimate
from autotune.core.space_types import Limit
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.standing import Standing, narrow
from tests.study.confirm.finalist_runs import FINALISTS, RULES

GAIN = Estimate(estimate=0.70, low=0.68, high=0.72)
WIDE = Estimate(estimate=0.70, low=0.50, high=0.90)
UNMEASURED = Estimate(estimate=math.nan, low=None, high=None)
BROKEN = ConstraintCheck(Limit(metric="peak_rss_bytes", max=1), "peak_rss_bytes", 2.0)


def standing(**fields: Any) -> Standing:
    """The second finalist, level with the leader."""
    found = Standing(
        name="trial-2",
        trial=FINALISTS.trials["trial-2"],
        gains=(GAIN,),
        runs=3,
        error=None,
        violation=None,
        remains=True,
        behind=Estimate(estimate=0.0, low=-0.01, high=0.01),
        verdict="tie",
    )
    return dataclasses.replace(found, **fields)


def behind(by: float) -> Estimate:
    return Estimate(estimate=by, low=by - 0.1, high=by + 0.1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"verdict": "undecided", "behind": behind(RULES.delta / 4)}, True),
        ({"verdict": "undecided", "behind": behind(RULES.delta * 0.26)}, False),
        ({"verdict": "undecided", "behind": behind(-0.2)}, True),
        ({"verdict": "undecided", "behind": UNMEASURED}, False),
        ({"verdict": "undecided", "behind": None}, False),
        ({"verdict": "better"}, False),
        ({"verdict": None}, False),
        ({"error": "it broke"}, False),
        ({"violation": BROKEN}, False),
        ({"gains": (UNMEASURED,)}, False),
        ({"remains": False}, True),  # what has its claim was dropped by a rival only
        ({"remains": False, "runs": 2}, False),
    ],
)
def test_one_may_win_if_it_is_able_and_seems_level_with_the_leader(fields: dict[str, Any], expected: bool) -> None:
    assert standing(**fields).may_win(RULES) is expected


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, RULES.runs),
        ({"gains": (WIDE,)}, RULES.sure_runs),
        ({"gains": (GAIN, WIDE)}, RULES.sure_runs),
        ({"name": BASELINE}, RULES.sure_runs),
    ],
)
def test_a_claim_needs_the_fewest_runs_where_every_gain_is_known_well(fields: dict[str, Any], needed: int) -> None:
    assert standing(**fields, runs=needed).has_claim(RULES)
    assert not standing(**fields, runs=needed - 1).has_claim(RULES)


def test_a_gain_is_narrow_by_its_own_size_or_by_what_is_always_enough() -> None:
    def within(estimate: float, half: float) -> Estimate:
        return Estimate(estimate=estimate, low=estimate - half, high=estimate + half)

    assert narrow(within(0.1, 0.99 * RULES.narrowest), RULES)
    assert not narrow(within(0.1, 1.01 * RULES.narrowest), RULES)
    assert narrow(within(2.0, 0.99 * 2.0 * RULES.narrow), RULES)
    assert not narrow(within(2.0, 1.01 * 2.0 * RULES.narrow), RULES)
    assert not narrow(Estimate(estimate=2.0, low=None, high=None), RULES)


def test_a_summary_has_ratios_and_no_verdict_of_what_was_not_measured() -> None:
    found = standing().summary(["throughput"])
    assert found.ratio is not None and found.ratio.estimate == pytest.approx(math.exp(0.70))
    assert (found.trial, found.verdict, found.ratios, found.error, found.broken) == (2, "tie", {}, None, None)
    assert found.behind is not None and found.behind.estimate == 1.0
    both = standing(gains=(GAIN, WIDE)).summary(["throughput", "peak_rss_bytes"])
    assert both.ratios.keys() == {"throughput", "peak_rss_bytes"}
    assert not found.indirect and standing(runs=0, indirect=True).summary(["throughput"]).indirect
    missing = standing(gains=(UNMEASURED,), error="it broke", violation=BROKEN).summary(["throughput"])
    assert (missing.ratio, missing.verdict, missing.behind, missing.error) == (None, None, None, "it broke")
    assert missing.broken == BROKEN.description and not missing.indirect
