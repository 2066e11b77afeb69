"""Interleaved runs of two finalists and the baseline, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune.core.results import Block, Candidate, InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.core.space_types import Goal, Limit
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import decision
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.decision import Decision
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.until_selected import UntilClaimed
from tests.report.made import PLAIN, config, result
from tests.study.fakes import WORKLOAD

RULES = ConfirmRules(first_stage=4)
FINALISTS = Finalists(
    {
        "trial-1": result(1, config(batch_size=2), rates=(20, 20)),
        "trial-2": result(2, config(batch_size=4), rates=(15, 15)),
        BASELINE: result(0, PLAIN, rates=(10, 10)),
    }
)
CONFIGS = FINALISTS.configs
THIRD = result(3, config(batch_size=8), rates=(20, 20))
EVERY = {**CONFIGS, "trial-3": THIRD.spec.config}
"""With another finalist, for tests that need one."""

NAMES = list(FINALISTS.trials)
ANY = Constraints(Path(), Goal(), RULES.confidence)


def decide(
    runs: Sequence[InterleavedRun],
    constraints: Constraints = ANY,
    finalists: Finalists = FINALISTS,
    rules: ConfirmRules = RULES,
    ended: bool = False,
) -> Decision:
    return decision.decide(runs, finalists, PLAIN, rules, constraints, ended=ended)


def until_claimed(constraints: Constraints = ANY, rules: ConfirmRules = RULES) -> UntilClaimed:
    return UntilClaimed(FINALISTS, rules, constraints, lambda runs: decide(runs, constraints, rules=rules))


def block(rate: float) -> Block:
    return Block(start_ns=0, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9)


def run(number: int, **rates: float | None) -> InterleavedRun:
    """Two rounds of slightly different blocks; None is a failure."""
    named = {name.replace("_", "-"): rate for name, rate in rates.items()}
    spec = InterleavedSpec(
        number=number,
        workload=WORKLOAD,
        configs={name: EVERY[name] for name in named},
        rounds=2,
        order="",
        folder=f"confirmation/a/{number:04d}",
    )
    candidates = {
        name: Candidate(config=EVERY[name], error="it broke")
        if rate is None
        else Candidate(config=EVERY[name], blocks=(block(rate), block(rate * 1.001)))
        for name, rate in named.items()
    }
    return InterleavedRun(spec=spec, candidates=candidates, start_s=1.0, wall_s=3.0, started="", fingerprint="")


ALL = {"trial_1": 20.0, "trial_2": 15.0, "baseline": 10.0, "trial_1_again": 20.0}


def limits(**bounds: float) -> Constraints:
    """At most so much of each figure."""
    found = tuple(Limit(metric=name, max=most) for name, most in bounds.items())
    return Constraints(Path(), Goal(limits=found), RULES.confidence)


def with_memory(number: int, **megabytes: int) -> InterleavedRun:
    """An interleaved run at the usual rates; the others use 100 MB."""
    found = run(number, **ALL)
    named = {name.replace("_", "-"): size for name, size in megabytes.items()}
    candidates = {
        name: msgspec.structs.replace(candidate, peak_rss_bytes=named.get(name, 100) * 2**20)
        for name, candidate in found.candidates.items()
    }
    return msgspec.structs.replace(found, candidates=candidates)


SMALL = limits(peak_rss_bytes=200 * 2**20)
