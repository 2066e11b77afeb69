"""A comparison: interleaved runs of some configurations until the question is answered or the time is used up.

Every interleaved run is on disk before the next begins, so that a comparison goes on where it was interrupted.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotune.analysis import drift, metrics, selection, stats
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import LATENCIES, METRICS
from autotune.core.config import Config
from autotune.core.executor import Executor
from autotune.core.files import write_atomically
from autotune.core.results import Candidate, Estimate, InterleavedRun
from autotune.core.rules import ConfirmRules, Correction, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import digest
from autotune.core.workload_spec import WorkloadSpec
from autotune.study.storage import store

FOLDER = "confirmation"
ENOUGH_FAILURES = 2
"""A configuration that failed in so many runs sits no more; whether it was the machine's fault is open before."""

OVERDRAFT = 0.7
"""An interleaved run that a claim still needs begins if so much of its time is left."""

Keep = Callable[[Sequence[InterleavedRun]], set[str]]
"""Which configurations must sit again, given the interleaved runs so far; none ends the comparison."""


@dataclass(frozen=True)
class PairedComparison:
    """What is compared, on which study's folder, by which rules; `name` names its folder with the configurations'."""

    name: str
    root: Path
    workload: WorkloadSpec
    configs: Mapping[str, Config]
    rules: MeasureRules
    confirm: ConfirmRules
    objective: str = "throughput"

    @property
    def folder(self) -> str:
        """Relative to the study; another question has another folder."""
        return f"{FOLDER}/{self.name}-{digest([self.workload, dict(self.configs)])[:8]}"

    def runs(self) -> list[InterleavedRun]:
        """What earlier runs left, in order."""
        paths = sorted((self.root / self.folder).glob("*/sitting.json"))
        return [
            store.decode(path, InterleavedRun, "delete it, and the interleaved run is made again") for path in paths
        ]


def run(
    paired: PairedComparison,
    executor: Executor,
    keep: Keep,
    seconds: float,
    limit_s: float,
    together: bool,
    clock: Callable[[], float] = time.monotonic,
    timed: Sequence[InterleavedRun] = (),
) -> list[InterleavedRun]:
    """Sit until `keep` is satisfied or the seconds are used up; all interleaved runs, those of earlier runs included.

    For the runs that a claim needs it may go on to `limit_s`, with the fewest rounds that a run may have.
    `timed` are interleaved runs of another comparison, by which the first one is planned.
    """
    begin = clock()
    found = paired.runs()
    while len(found) < paired.confirm.most_runs:
        kept = keep(found)
        names = [name for name in paired.configs if name in kept and not _failing(found, name)]
        if len(names) < 2:
            break
        used_s = clock() - begin
        rounds = _rounds(found, timed, names, seconds - used_s, limit_s - used_s, paired.confirm)
        if rounds is None:
            break
        run = another(paired, executor, found, names, rounds, limit_s - used_s, together=together)
        if run is None:  # the time ended while it was started
            break
        found = sorted([*found, run], key=lambda one: one.spec.number)
    return found


def another(
    paired: PairedComparison,
    executor: Executor,
    found: Sequence[InterleavedRun],
    names: Sequence[str],
    rounds: int,
    limit_s: float,
    *,
    together: bool = True,
) -> InterleavedRun | None:
    """One more interleaved run of these names, on disk; None if the seconds ended before its first round."""
    number = next(n for n in itertools.count(1) if n not in {run.spec.number for run in found})
    spec = InterleavedSpec(
        number=number,
        workload=paired.workload,
        configs={name: paired.configs[name] for name in names},
        rounds=rounds,
        order=f"{paired.workload.seed}/{paired.name}",
        folder=f"{paired.folder}/{number:04d}",
        together=together and not _spins(found, paired.confirm),
        limit_s=limit_s,
        objective=paired.objective,
    )
    run = executor.interleave(spec, paired.rules)
    if run is not None:
        write_atomically(paired.root / spec.folder / "sitting.json", store.encode(run))
    return run


# ------------------------------------------------------------------------------------------------------ reading


@dataclass(frozen=True)
class Table:
    """How good each was in a comparison, as logarithms of which more is better: by name, then run, then round.

    For the throughput these are log rates, corrected for drift.
    """

    logs: Mapping[str, Sequence[Sequence[float]]]
    confidence: float

    def difference(self, a: str, b: str, confidence: float | None = None) -> Estimate:
        """The mean difference a − b with its interval over the interleaved runs in which both sat."""
        pairs = [_even(x, y) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        pairs = [pair for pair in pairs if pair[0]]
        if not pairs:
            return Estimate(estimate=math.nan, low=None, high=None)
        return selection.paired_difference([x for x, _ in pairs], [y for _, y in pairs], confidence or self.confidence)

    def ratio(self, a: str, b: str) -> Estimate | None:
        """How many times better a is than b (faster, or less of what is paid); None where they never sat together."""
        difference = self.difference(a, b)
        return None if math.isnan(difference.estimate) else stats.from_logs(difference)

    def rounds(self, names: Sequence[str]) -> dict[str, list[float]]:
        """The rounds that all of these have, over all interleaved runs."""
        found: dict[str, list[float]] = {name: [] for name in names}
        for logs in zip(*(self.logs[name] for name in names), strict=True):
            count = min(map(len, logs))
            for name, values in zip(names, logs, strict=True):
                found[name] += values[:count]
        return found

    def counts(self, a: str, b: str) -> tuple[int, int]:
        """In how many interleaved runs both sat, and for how many rounds in all."""
        both = [len(_even(x, y)[0]) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        return sum(count > 0 for count in both), sum(both)


def table(
    runs: Sequence[InterleavedRun], names: Sequence[str], confidence: float, objective: str | None = None
) -> Table:
    """What the runs were for, or another objective, freed of the drift that the blocks of all of them show."""
    found = fitted(runs)
    logs = {
        name: [
            scores(run.candidates[name], objective or run.spec.objective, found) if name in run.candidates else []
            for run in runs
        ]
        for name in names
    }
    return Table(logs=logs, confidence=confidence)


def scores(candidate: Candidate, objective: str, found: Correction) -> list[float]:
    """A candidate's blocks by an objective, as logarithms of which more is better; none where it has no such metric.

    A percentile is the block's own. What the start has once (memory, the time to set up) is one value for the whole
    interleaved run. Of that and of latencies a configuration that failed leaves nothing.
    """
    rates = [math.log(rate) for rate in drift.corrected(candidate.blocks, found)]
    if METRICS[objective].rate_only:
        return rates
    if objective in LATENCIES:
        offsets = [math.log(block.rate) - rate for block, rate in zip(candidate.blocks, rates, strict=True)]
        milliseconds = _latencies_ms(candidate, objective)
        return [-math.log(ms) - slower for ms, slower in zip(milliseconds, offsets, strict=bool(milliseconds))]
    once = METRICS[objective].per_start
    if once and candidate.error is not None:
        return []
    alone = [
        msgspec.structs.replace(candidate, blocks=(block,))
        for block in (candidate.blocks[:1] if once else candidate.blocks)
    ]
    values = [METRICS[objective].read(Measured(one, one.blocks[0].rate)) for one in alone]
    known = [METRICS[objective].score(value) for value in values if value is not None]
    return known if len(known) == len(values) else []


def _latencies_ms(candidate: Candidate, objective: str) -> list[float]:
    """A percentile of each block, the block's length where no call ended in it; nothing where they were not kept."""
    if len(candidate.latencies) != len(candidate.blocks):
        return []
    return [
        block.elapsed_ns / 1e6 if calls is None else metrics.percentile_ms(calls, LATENCIES[objective])
        for block, calls in zip(candidate.blocks, candidate.latencies, strict=True)
    ]


def fitted(runs: Sequence[InterleavedRun]) -> Correction:
    """How rates follow the canary, from all blocks of some interleaved runs."""
    return drift.fit([candidate.blocks for run in runs for candidate in run.candidates.values()])


def _even(a: Sequence[float], b: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    count = min(len(a), len(b))
    return a[:count], b[:count]


# ----------------------------------------------------------------------------------------------------- planning


def _failing(runs: Sequence[InterleavedRun], name: str) -> bool:
    failures = [run for run in runs if name in run.candidates and run.candidates[name].error is not None]
    return len(failures) >= ENOUGH_FAILURES


def complete(runs: Sequence[InterleavedRun], names: Sequence[str]) -> int:
    """In how many interleaved runs every one of these has what the interleaved run was for."""
    return sum(
        all(name in s.candidates and scores(s.candidates[name], s.spec.objective, Correction()) for name in names)
        for s in runs
    )


def shared(runs: Sequence[InterleavedRun], a: str, b: str) -> int:
    """In how many interleaved runs both have a block, whether or not that has the metric."""
    return sum(all(name in s.candidates and s.candidates[name].blocks for name in (a, b)) for s in runs)


def failure(runs: Sequence[InterleavedRun], name: str) -> str | None:
    """Why a configuration no longer sits; None if it does."""
    if not _failing(runs, name):
        return None
    return next(
        error for s in reversed(runs) if name in s.candidates and (error := s.candidates[name].error) is not None
    )


def _spins(runs: Sequence[InterleavedRun], confirm: ConfirmRules) -> bool:
    """Whether a stopped configuration used the cores all the same: then each is started by itself."""
    shares = (candidate.idle_share for run in runs for candidate in run.candidates.values())
    return any(share is not None and share > confirm.idle_share for share in shares)


def _rounds(
    runs: Sequence[InterleavedRun],
    before: Sequence[InterleavedRun],
    names: Sequence[str],
    left_s: float,
    limit_s: float,
    confirm: ConfirmRules,
) -> int | None:
    """The rounds of the next interleaved run; None when there is no time for one.

    The time that is left is spread over the runs that a claim needs; more rounds than Kalibera and Jones find
    worth their time are not made.
    """
    timed = [
        (s.start_s / len(s.candidates), s.round_s / len(s.candidates)) for s in runs or before if s.round_s is not None
    ]
    if not timed:
        return confirm.first_rounds if limit_s > 0 else None
    start_s = len(names) * statistics.median(start for start, _ in timed)
    round_s = len(names) * statistics.median(one for _, one in timed)
    needed_s = start_s + confirm.least_rounds * round_s
    to_come = confirm.runs - complete(runs, names)
    enough_time = limit_s >= OVERDRAFT * needed_s if to_come > 0 else left_s >= needed_s
    if not enough_time:
        return None
    affordable = (left_s / max(1, to_come) - start_s) / round_s
    once = bool(runs) and METRICS[runs[-1].spec.objective].per_start
    worth = 0 if once else stats.optimal_rounds(start_s, round_s, *_components(runs, names))
    wanted = math.ceil(min(affordable, worth, confirm.most_rounds))
    return max(confirm.least_rounds, wanted)


def _components(runs: Sequence[InterleavedRun], names: Sequence[str]) -> tuple[float, float]:
    """The variances of paired differences within and between runs, the largest over the neighbouring pairs."""
    rates = table(runs, names, 0.95)
    found = []
    for a, b in itertools.pairwise(names):
        differences = [
            [x - y for x, y in zip(*_even(one, other), strict=True)]
            for one, other in zip(rates.logs[a], rates.logs[b], strict=True)
        ]
        found.append(stats.variance_components([values for values in differences if values]))
    return max(within for within, _ in found), max(between for _, between in found)
