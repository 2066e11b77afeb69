from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Candidate, InterleavedRun
from autotune.core.space_types import Goal, Limit
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import aggregate
from autotune.study.confirm.constraints import Constraints
from tests.report.made import PLAIN, config, numbered
from tests.study.fakes import WORKLOAD

CONFIGS = {"a": PLAIN, "b": config("onnxruntime", 8)}


def run(number: int, setup_s: float, *, together: bool = True, names: str = "ab") -> InterleavedRun:
    spec = InterleavedSpec(
        number=number,
        workload=WORKLOAD,
        configs={name: CONFIGS[name] for name in names},
        rounds=1,
        order="",
        folder=f"confirmation/a/{number:04d}",
        together=together,
    )
    candidates = {name: Candidate(config=CONFIGS[name], blocks=numbered((10.0,)), setup_s=setup_s) for name in names}
    return InterleavedRun(spec=spec, candidates=candidates, start_s=1, wall_s=2, started="", fingerprint="")


def setup_s(*runs: InterleavedRun) -> float | None:
    found = aggregate.merge(Path(), runs, "a", 0.95)
    assert found is not None
    assert found.metrics(None).get("setup_s") == found.candidate.setup_s
    return found.candidate.setup_s


def test_the_time_to_set_up_is_that_of_starts_alone() -> None:
    crowded = run(1, 9.0)
    assert setup_s(crowded) is None
    assert setup_s(crowded, run(2, 2.0, together=False)) == 2.0
    assert setup_s(crowded, run(2, 3.0, names="a")) == 3.0


@pytest.mark.parametrize("together", [True, False])
def test_a_limit_on_it_is_broken_only_by_a_start_alone(together: bool) -> None:
    limits = Constraints(Path(), Goal(limits=(Limit(metric="setup_s", max=5.0),)), 0.95)
    assert (limits.broken([run(1, 9.0, together=together)], "a") is None) is together


def test_a_hard_limit_on_it_was_checked_by_the_trial_and_others_refuse() -> None:
    start, outputs = (Limit(metric=name, min=0.99, unjudged="reject") for name in ("setup_s", "cosine_similarity"))
    assert Constraints(Path(), Goal(limits=(start,)), 0.95).broken([run(1, 9.0)], "a") is None
    assert Constraints(Path(), Goal(limits=(start,)), 0.95).broken([run(1, 9.0)], "a", tried=False) is not None
    broken = Constraints(Path(), Goal(limits=(start, outputs)), 0.95).broken([run(1, 9.0)], "a")
    assert broken is not None and broken.limit == outputs


def test_a_failed_candidate_counts_with_what_it_has() -> None:
    broken = run(1, 2.0, together=False)
    candidate = Candidate(config=PLAIN, blocks=numbered((20.0,)), error="it broke")
    broken = msgspec.structs.replace(broken, candidates=broken.candidates | {"a": candidate})
    found = aggregate.merge(Path(), [broken, run(2, 2.0, together=False)], "a", 0.95)
    assert found is not None and (len(found.candidate.blocks), found.candidate.error) == (2, None)
