"""A contest: sittings of some configurations until the question is answered or the time is used up.

Every sitting is on disk before the next begins, so that a contest goes on where it was interrupted.
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

from autotune.analysis import drift as correction
from autotune.analysis import metrics, selection, stats
from autotune.analysis.metrics import LATENCIES
from autotune.core.files import write_atomically
from autotune.core.interfaces import Sit
from autotune.core.results import Estimate, Seat, Sitting
from autotune.core.rules import ConfirmRules, Correction, MeasureRules
from autotune.core.types import Config, SittingSpec, WorkloadSpec, digest
from autotune.study.storage import store

FOLDER = "confirmation"
ENOUGH_FAILURES = 2
"""A configuration that failed in so many sittings sits no more; whether it was the machine's fault is open before."""

OVERDRAFT = 0.7
"""A sitting that a claim still needs begins if so much of its time is left."""

Keep = Callable[[Sequence[Sitting]], set[str]]
"""Which configurations must sit again, given the sittings so far; none ends the contest."""


@dataclass(frozen=True)
class Contest:
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

    def sittings(self) -> list[Sitting]:
        """What earlier runs left, in order."""
        paths = sorted((self.root / self.folder).glob("*/sitting.json"))
        return [store.decode(path, Sitting, "delete it, and the sitting is made again") for path in paths]


def run(
    contest: Contest,
    sit: Sit,
    keep: Keep,
    seconds: float,
    limit_s: float,
    together: bool,
    clock: Callable[[], float] = time.monotonic,
    timed: Sequence[Sitting] = (),
) -> list[Sitting]:
    """Sit until `keep` is satisfied or the seconds are used up; all sittings, those of earlier runs included.

    For the sittings that a claim needs it may go on to `limit_s`, with the fewest rounds that a sitting may have.
    `timed` are sittings of another contest, by which the first one is planned.
    """
    begin = clock()
    found = contest.sittings()
    while len(found) < contest.confirm.most_sittings:
        kept = keep(found)
        names = [name for name in contest.configs if name in kept and not _failing(found, name)]
        if len(names) < 2:
            break
        used_s = clock() - begin
        rounds = _rounds(found, timed, names, seconds - used_s, limit_s - used_s, contest.confirm)
        if rounds is None:
            break
        sitting = another(contest, sit, found, names, rounds, limit_s - used_s, together=together)
        if sitting is None:  # the time ended while it was started
            break
        found = sorted([*found, sitting], key=lambda one: one.spec.number)
    return found


def another(
    contest: Contest,
    sit: Sit,
    found: Sequence[Sitting],
    names: Sequence[str],
    rounds: int,
    limit_s: float,
    *,
    together: bool = True,
) -> Sitting | None:
    """One more sitting of these names, on disk; None if the seconds ended before its first round."""
    number = next(n for n in itertools.count(1) if n not in {sitting.spec.number for sitting in found})
    spec = SittingSpec(
        number=number,
        workload=contest.workload,
        configs={name: contest.configs[name] for name in names},
        rounds=rounds,
        order=f"{contest.workload.seed}/{contest.name}",
        folder=f"{contest.folder}/{number:04d}",
        together=together and not _spins(found, contest.confirm),
        limit_s=limit_s,
        objective=contest.objective,
    )
    sitting = sit(spec, contest.rules)
    if sitting is not None:
        write_atomically(contest.root / spec.folder / "sitting.json", store.encode(sitting))
    return sitting


# ------------------------------------------------------------------------------------------------------ reading


@dataclass(frozen=True)
class Table:
    """How good each was in a contest, as logarithms of which more is better: by name, then sitting, then round.

    For the throughput these are log rates, corrected for drift.
    """

    logs: Mapping[str, Sequence[Sequence[float]]]
    confidence: float

    def difference(self, a: str, b: str, confidence: float | None = None) -> Estimate:
        """The mean difference a − b with its interval over the sittings in which both sat."""
        pairs = [_even(x, y) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        pairs = [pair for pair in pairs if pair[0]]
        if not pairs:
            return Estimate(estimate=math.nan, low=None, high=None)
        return selection.paired([x for x, _ in pairs], [y for _, y in pairs], confidence or self.confidence)

    def ratio(self, a: str, b: str) -> Estimate | None:
        """How many times better a is than b (faster, or less of what is paid); None where they never sat together."""
        difference = self.difference(a, b)
        return None if math.isnan(difference.estimate) else stats.exponential(difference)

    def rounds(self, names: Sequence[str]) -> dict[str, list[float]]:
        """The rounds that all of these have, over all sittings."""
        found: dict[str, list[float]] = {name: [] for name in names}
        for logs in zip(*(self.logs[name] for name in names), strict=True):
            count = min(map(len, logs))
            for name, values in zip(names, logs, strict=True):
                found[name] += values[:count]
        return found

    def counts(self, a: str, b: str) -> tuple[int, int]:
        """In how many sittings both sat, and for how many rounds in all."""
        both = [len(_even(x, y)[0]) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        return sum(count > 0 for count in both), sum(both)


def table(sittings: Sequence[Sitting], names: Sequence[str], confidence: float, objective: str | None = None) -> Table:
    """What the sittings were for, or another objective, freed of the drift that the blocks of all of them show."""
    found = fitted(sittings)
    logs = {
        name: [
            scores(sitting.seats[name], objective or sitting.spec.objective, found) if name in sitting.seats else []
            for sitting in sittings
        ]
        for name in names
    }
    return Table(logs=logs, confidence=confidence)


def scores(seat: Seat, objective: str, found: Correction) -> list[float]:
    """A seat's blocks by an objective, as logarithms of which more is better; none where it has no such figure.

    A percentile is the block's own. What the start has once (memory, the time to set up) is one value for the whole
    sitting. Of that and of latencies a configuration that failed leaves nothing.
    """
    rates = [math.log(rate) for rate in correction.rates(seat.blocks, found)]
    if objective in metrics.OF_RATE:
        return rates
    if objective in LATENCIES:
        drift = [math.log(block.rate) - rate for block, rate in zip(seat.blocks, rates, strict=True)]
        milliseconds = _latencies_ms(seat, objective)
        return [-math.log(ms) - slower for ms, slower in zip(milliseconds, drift, strict=bool(milliseconds))]
    once = objective in metrics.OF_START
    if once and seat.error is not None:
        return []
    alone = [msgspec.structs.replace(seat, blocks=(block,)) for block in (seat.blocks[:1] if once else seat.blocks)]
    values = [metrics.of(one, one.blocks[0].rate, None).get(objective) for one in alone]
    known = [metrics.score(objective, value) for value in values if value is not None]
    return known if len(known) == len(values) else []


def _latencies_ms(seat: Seat, objective: str) -> list[float]:
    """A percentile of each block, the block's length where no call ended in it; nothing where they were not kept."""
    if len(seat.latencies) != len(seat.blocks):
        return []
    return [
        block.elapsed_ns / 1e6 if calls is None else metrics.seen_ms(calls, LATENCIES[objective])
        for block, calls in zip(seat.blocks, seat.latencies, strict=True)
    ]


def fitted(sittings: Sequence[Sitting]) -> Correction:
    """How rates follow the canary, from all blocks of some sittings."""
    return correction.fit([seat.blocks for sitting in sittings for seat in sitting.seats.values()])


def _even(a: Sequence[float], b: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    count = min(len(a), len(b))
    return a[:count], b[:count]


# ----------------------------------------------------------------------------------------------------- planning


def _failing(sittings: Sequence[Sitting], name: str) -> bool:
    failures = [sitting for sitting in sittings if name in sitting.seats and sitting.seats[name].error is not None]
    return len(failures) >= ENOUGH_FAILURES


def complete(sittings: Sequence[Sitting], names: Sequence[str]) -> int:
    """In how many sittings every one of these has what the sitting was for."""
    return sum(
        all(name in s.seats and scores(s.seats[name], s.spec.objective, Correction()) for name in names)
        for s in sittings
    )


def shared(sittings: Sequence[Sitting], a: str, b: str) -> int:
    """In how many sittings both have a block, whether or not that has the figure."""
    return sum(all(name in s.seats and s.seats[name].blocks for name in (a, b)) for s in sittings)


def failure(sittings: Sequence[Sitting], name: str) -> str | None:
    """Why a configuration no longer sits; None if it does."""
    if not _failing(sittings, name):
        return None
    return next(error for s in reversed(sittings) if name in s.seats and (error := s.seats[name].error) is not None)


def _spins(sittings: Sequence[Sitting], confirm: ConfirmRules) -> bool:
    """Whether a stopped configuration used the cores all the same: then each is started by itself."""
    shares = (seat.idle_share for sitting in sittings for seat in sitting.seats.values())
    return any(share is not None and share > confirm.idle_share for share in shares)


def _rounds(
    sittings: Sequence[Sitting],
    before: Sequence[Sitting],
    names: Sequence[str],
    left_s: float,
    limit_s: float,
    confirm: ConfirmRules,
) -> int | None:
    """The rounds of the next sitting; None when there is no time for one.

    The time that is left is spread over the sittings that a claim needs; more rounds than Kalibera and Jones find
    worth their time are not made.
    """
    timed = [(s.start_s / len(s.seats), s.round_s / len(s.seats)) for s in sittings or before if s.round_s is not None]
    if not timed:
        return confirm.first_rounds if limit_s > 0 else None
    start_s = len(names) * statistics.median(start for start, _ in timed)
    round_s = len(names) * statistics.median(one for _, one in timed)
    needed_s = start_s + confirm.least_rounds * round_s
    to_come = confirm.sittings - complete(sittings, names)
    enough_time = limit_s >= OVERDRAFT * needed_s if to_come > 0 else left_s >= needed_s
    if not enough_time:
        return None
    affordable = (left_s / max(1, to_come) - start_s) / round_s
    once = bool(sittings) and sittings[-1].spec.objective in metrics.OF_START
    worth = 0 if once else stats.rounds_per_sitting(start_s, round_s, *_components(sittings, names))
    wanted = math.ceil(min(affordable, worth, confirm.most_rounds))
    return max(confirm.least_rounds, wanted)


def _components(sittings: Sequence[Sitting], names: Sequence[str]) -> tuple[float, float]:
    """The variances of paired differences within and between sittings, the largest over the neighbouring pairs."""
    rates = table(sittings, names, 0.95)
    found = []
    for a, b in itertools.pairwise(names):
        differences = [
            [x - y for x, y in zip(*_even(one, other), strict=True)]
            for one, other in zip(rates.logs[a], rates.logs[b], strict=True)
        ]
        found.append(stats.components([values for values in differences if values]))
    return max(within for within, _ in found), max(between for _, between in found)
