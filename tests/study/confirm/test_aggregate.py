from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.results import Candidate, InterleavedRun
from autotune.study.confirm import aggregate
from tests.report.made import PLAIN, numbered
from tests.study.confirm.starts import run


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


def test_a_failed_candidate_counts_with_what_it_has() -> None:
    broken = run(1, 2.0, together=False)
    candidate = Candidate(config=PLAIN, blocks=numbered((20.0,)), error="it broke")
    broken = msgspec.structs.replace(broken, candidates=broken.candidates | {"a": candidate})
    found = aggregate.merge(Path(), [broken, run(2, 2.0, together=False)], "a", 0.95)
    assert found is not None and (len(found.candidate.blocks), found.candidate.error) == (2, None)
