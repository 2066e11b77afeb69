"""Scores of candidates in interleaved runs, block by block, and paired differences with their intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from autotune.analysis import drift, metrics, selection, stats
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import LATENCIES, METRICS
from autotune.core.estimate import Estimate
from autotune.core.results import Candidate, InterleavedRun
from autotune.core.rules import ConfirmRules, Correction
from autotune.study.confirm.names import BASELINE

OTHERS_DF = 4
"""The spread that all candidates of the runs show weighs in a pair's interval like so many degrees of freedom.

Candidates are not equally noisy, so that a pair's own runs count the more, the more there are.
"""

NOISIER = 6.0
"""A pair whose variance is more than so many times that of all others is judged by its own runs alone.

About the 95 % quantile of F with 2 to 5 and 4 degrees of freedom: a baseline that a neighbour hits every other run.
"""

LEAST = 2 * 0.01**2
"""The least variance between others that counts: launches alone differ by a hundredth."""

ENOUGH = ConfirmRules().runs
"""So many runs that have both say more of two than any other configuration that was measured with each."""

FIRST = selection.Variance(2 * 0.07**2, 4)
"""The spread taken while there is one run: candidates differ by about so much between runs on a shared machine.

The log ratios of `studies/example` have 0.06 to 0.14 between rounds and up to 0.08 between runs.
"""

ONE_SIDED = 0.90
"""The two-sided confidence of which either bound by itself holds at 95 %."""


@dataclass(frozen=True)
class ScoreTable:
    """The scores of candidates by name, then run, then round: logarithms of which more is better.

    For the throughput these are log rates, corrected for drift.
    """

    logs: Mapping[str, Sequence[Sequence[float]]]
    confidence: float

    def difference(self, a: str, b: str, confidence: float | None = None) -> Estimate:
        """The mean difference a − b with its interval: by way of a link, the runs that have both, or a chain.

        The noise of other candidates counts in it, that of the baseline only where it is one of the two: other software
        may suffer far more from what else goes on. NaN where no runs connect them.
        """
        confidence = confidence or self.confidence
        if a == b and any(self.logs[a]):
            return Estimate(estimate=0.0, low=0.0, high=0.0)
        if (link := self.link(a, b)) is not None:
            return stats.summed(self.difference(a, link, confidence), self.difference(link, b, confidence))
        if (direct := self._paired(a, b, confidence, self._others_noise(a, b))) is not None:
            return direct
        names = list(self.logs)
        return self._design.difference(names.index(a), names.index(b), confidence, self._others_noise(a, b))

    def _paired(self, a: str, b: str, confidence: float, noise: selection.Variance) -> Estimate | None:
        """The difference over the runs that have both, given the noise of others; None without any."""
        pairs = [in_both(x, y) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        pairs = [pair for pair in pairs if pair[0]]
        if not pairs:
            return None
        own = len(pairs) - 1
        known = selection.Variance(noise.value, max(0, min(OTHERS_DF, noise.df - own)))
        firsts, seconds = [x for x, _ in pairs], [y for _, y in pairs]
        if own > 1 and self._far_noisier(a, b, selection.paired_variance(firsts, seconds)):
            known = selection.UNKNOWN
        return selection.paired_difference(firsts, seconds, confidence, known)

    def _others_noise(self, a: str, b: str) -> selection.Variance:
        """The variance of a difference that all candidates show, else the usual one."""
        noise = self._noise_of([name for name in self.logs if name != BASELINE or BASELINE in (a, b)])
        return noise if noise.df else FIRST

    def _far_noisier(self, a: str, b: str, variance: float) -> bool:
        """True if a pair's variance is far larger than that between all others, where there are enough to tell."""
        others = self._noise_of([name for name in self.logs if name not in (a, b)])
        return others.df > 1 and variance > NOISIER * max(others.value, LEAST)

    def link(self, a: str, b: str) -> str | None:
        """The candidate by way of which two compare: of those that have more runs with each the one with the most.

        None where enough runs have both, or none has more. The noisy baseline is one only where no run has both.
        """
        together = self.counts(a, b)[0]
        if a == b or together >= ENOUGH:
            return None
        able = [one for one in self.logs if one not in (a, b) and (one != BASELINE or not together)]
        shared = {one: min(self.counts(a, one)[0], self.counts(one, b)[0]) for one in able}
        best = max(shared, key=lambda one: (shared[one], one != BASELINE), default=None)
        return best if best is not None and shared[best] > together else None

    def together(self, a: str, b: str) -> list[int]:
        """The places of the runs that have both."""
        return [place for place, both in enumerate(zip(self.logs[a], self.logs[b], strict=True)) if all(both)]

    def agrees(self, a: str, b: str) -> bool:
        """True if the runs that have both, where there are any, do not refute what the others say of the two."""
        apart = [not (x and y) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        logs = {name: list(itertools.compress(runs, apart)) for name, runs in self.logs.items()}
        others = ScoreTable(logs=logs, confidence=self.confidence)
        direct = self._paired(a, b, self.confidence, others._others_noise(a, b))
        if direct is None:
            return True
        gap = stats.summed(direct, others.difference(b, a))
        return gap.low is None or gap.high is None or gap.low <= 0 <= gap.high

    def level(self, name: str) -> float:
        """The score of a candidate over all runs, each freed of what it has in common; -inf without a block."""
        level = self._design.levels[list(self.logs).index(name)]
        return -math.inf if math.isnan(level) else level

    @cached_property
    def _means(self) -> dict[str, list[float | None]]:
        """The mean score of each candidate in each run."""
        return {name: [math.fsum(one) / len(one) if one else None for one in runs] for name, runs in self.logs.items()}

    @cached_property
    def _design(self) -> selection.BlockDesign:
        return selection.block_design(list(self._means.values()))

    @cached_property
    def _noises(self) -> dict[tuple[str, ...], selection.Variance]:
        return {}

    def _noise_of(self, names: Sequence[str]) -> selection.Variance:
        """The variance of a difference in a run between these candidates alone."""
        key = tuple(names)
        if key not in self._noises:
            self._noises[key] = selection.block_design([self._means[name] for name in names]).noise
        return self._noises[key]

    def ratio(self, a: str, b: str) -> Estimate | None:
        """The factor by which a is better than b (faster, or less of what is paid); None where no runs connect them."""
        difference = self.difference(a, b)
        return None if math.isnan(difference.estimate) else stats.from_logs(difference)

    def rounds(self, names: Sequence[str]) -> dict[str, list[float]]:
        """The scores of the rounds that all of these have, over all runs."""
        joined: dict[str, list[float]] = {name: [] for name in names}
        for logs in zip(*(self.logs[name] for name in names), strict=True):
            count = min(map(len, logs))
            for name, values in zip(names, logs, strict=True):
                joined[name] += values[:count]
        return joined

    def counts(self, a: str, b: str) -> tuple[int, int]:
        """The number of runs that have both, and that of all their rounds."""
        both = [len(in_both(x, y)[0]) for x, y in zip(self.logs[a], self.logs[b], strict=True)]
        return sum(count > 0 for count in both), sum(both)


def table(
    runs: Sequence[InterleavedRun], names: Sequence[str], confidence: float, objective: str | None = None
) -> ScoreTable:
    """The scores of these candidates, freed of the drift that the blocks of all candidates show.

    By the objective that each run was made for, unless another one is given.
    """
    correction = fitted(runs)
    logs = {
        name: [
            scores(run.candidates[name], objective or run.spec.objective, correction) if name in run.candidates else []
            for run in runs
        ]
        for name in names
    }
    return ScoreTable(logs=logs, confidence=confidence)


def by_configuration(runs: Iterable[InterleavedRun]) -> list[InterleavedRun]:
    """The runs of several comparisons with each candidate under its configuration's key, the first of several."""
    return [
        msgspec.structs.replace(
            run, candidates={one.config.key: one for one in reversed(list(run.candidates.values()))}
        )
        for run in runs
    ]


def scores(candidate: Candidate, objective: str, correction: Correction) -> list[float]:
    """The score of each of a candidate's blocks by an objective; none where it lacks that metric.

    A percentile is the block's own. What the start has once (memory, the time to set up) is one value for the whole
    run. Of that and of latencies a candidate that failed leaves nothing.
    """
    rates = [math.log(rate) for rate in drift.corrected(candidate.blocks, correction)]
    if METRICS[objective].rate_only:
        return rates
    if objective in LATENCIES:
        slowdowns = [math.log(block.rate) - rate for block, rate in zip(candidate.blocks, rates, strict=True)]
        milliseconds = _latencies_ms(candidate, objective)
        return [-math.log(ms) - slowdown for ms, slowdown in zip(milliseconds, slowdowns, strict=False)]
    once = METRICS[objective].per_start
    if once and candidate.error is not None:
        return []
    single_blocks = [
        msgspec.structs.replace(candidate, blocks=(block,))
        for block in (candidate.blocks[:1] if once else candidate.blocks)
    ]
    values = [METRICS[objective].read(Measured(one, one.blocks[0].rate)) for one in single_blocks]
    known = [METRICS[objective].score(value) for value in values if value is not None]
    return known if len(known) == len(values) else []


def fitted(runs: Sequence[InterleavedRun]) -> Correction:
    """The correction by the canary that the blocks of all candidates give."""
    return drift.fit([candidate.blocks for run in runs for candidate in run.candidates.values()])


def in_both(a: Sequence[float], b: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The rounds of a run that two candidates have."""
    count = min(len(a), len(b))
    return a[:count], b[:count]


def _latencies_ms(candidate: Candidate, objective: str) -> list[float]:
    """A percentile of each block, the block's length where no call ended in it; nothing where they were not kept."""
    if len(candidate.latencies) != len(candidate.blocks):
        return []
    return [
        block.elapsed_ns / 1e6 if calls is None else metrics.percentile_ms(calls, LATENCIES[objective])
        for block, calls in zip(candidate.blocks, candidate.latencies, strict=True)
    ]
