"""The schedule of a comparison: how many rounds the next interleaved run has, and after which runs one may decide."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from autotune.analysis import stats
from autotune.analysis.metrics import METRICS
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import outcomes, scores

OVERDRAFT = 0.7
"""A run that a claim still needs begins if so much of its time is left."""

Keep = Callable[[Sequence[InterleavedRun]], set[str]]
"""A stopping rule: the candidates that are measured again, given the runs so far; none ends the comparison."""


@dataclass(frozen=True)
class UntilComplete:
    """The stopping rule that measures all candidates until so many runs have each of them as a claim needs at least."""

    names: Collection[str]
    confirm: ConfirmRules

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        able = {name for name in self.names if not outcomes.failed(runs, name)}
        return set() if outcomes.complete(runs, list(able)) >= self.confirm.runs else able


def looks(runs: int, confirm: ConfirmRules) -> Iterator[int]:
    """The numbers of runs, up to so many, after which one may look whether a question is answered.

    Those that a claim needs for sure, and then twice as many each time: looking after every run would find by chance
    what is not there.
    """
    count = confirm.sure_runs
    while count <= runs:
        yield count
        count *= 2


def rounds(
    runs: Sequence[InterleavedRun],
    before: Sequence[InterleavedRun],
    names: Sequence[str],
    left_s: float,
    limit_s: float,
    confirm: ConfirmRules,
) -> int | None:
    """The rounds of the next run of these candidates; None when there is no time for one.

    The time that is left is spread over the runs that a claim needs; more rounds than Kalibera and Jones find
    worth their time are not made. Times are taken from the runs so far, else from those of an earlier comparison.
    """
    durations = [
        (run.start_s / len(run.candidates), run.round_s / len(run.candidates))
        for run in runs or before
        if run.round_s is not None
    ]
    if not durations:
        return confirm.first_rounds if limit_s > 0 else None
    start_s = len(names) * statistics.median(start for start, _ in durations)
    round_s = len(names) * statistics.median(a_round for _, a_round in durations)
    needed_s = start_s + confirm.least_rounds * round_s
    missing_runs = confirm.sure_runs - outcomes.complete(runs, names)
    enough_time = limit_s >= OVERDRAFT * needed_s if missing_runs > 0 else left_s >= needed_s
    if not enough_time:
        return None
    affordable = (left_s / max(1, missing_runs) - start_s) / round_s
    once = bool(runs) and METRICS[runs[-1].spec.objective].per_start
    worthwhile = 0 if once else stats.optimal_rounds(start_s, round_s, *_variances(runs, names))
    return max(confirm.least_rounds, math.ceil(min(affordable, worthwhile, confirm.most_rounds)))


def spins(runs: Sequence[InterleavedRun], confirm: ConfirmRules) -> bool:
    """True if a stopped candidate used the cores all the same: then each is started by itself."""
    shares = (candidate.idle_share for run in runs for candidate in run.candidates.values())
    return any(share is not None and share > confirm.idle_share for share in shares)


def _variances(runs: Sequence[InterleavedRun], names: Sequence[str]) -> tuple[float, float]:
    """The variances of paired differences within and between runs, the largest over the neighbouring pairs."""
    table = scores.table(runs, names, 0.95)
    components = []
    for a, b in itertools.pairwise(names):
        differences = [
            [x - y for x, y in zip(*scores.in_both(one, other), strict=True)]
            for one, other in zip(table.logs[a], table.logs[b], strict=True)
        ]
        components.append(stats.variance_components([values for values in differences if values]))
    return max(within for within, _ in components), max(between for _, between in components)
