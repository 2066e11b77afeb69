"""The confirmation of a rate of requests: each finalist serves its own for a minute, in fresh processes.

A rate that is not kept is lowered until one is. Nothing is interleaved here, so the claim is the rate alone; its ratio
to the plain model's has no interval.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autotune.claims import Confirmation, Finalist, Winner
from autotune.interfaces import Observer, Sustain
from autotune.results import Estimate, Probe, TrialResult
from autotune.rules import ConfirmRules, MeasureRules
from autotune.study import choosing
from autotune.study.choosing import BASELINE
from autotune.study.opening import OpenStudy
from autotune.study.ranking import Ranking
from autotune.types import TrialSpec

SECONDS = 60.0
START_S = 10.0
"""What starting a configuration may take beside its minute, when it is decided whether there is time for one."""

LOWER = 0.95
FOLDER = "confirmation/served"


@dataclass
class Sustaining:
    """The finalists' rates of requests, by the best of the search first."""

    study: OpenStudy
    sustain: Sustain
    observer: Observer
    rules: MeasureRules
    confirm: ConfirmRules
    ranking: Ranking
    seconds: float
    clock: Callable[[], float] = time.monotonic

    def run(self) -> Confirmation:
        """What could be kept in the seconds; confirmed if a finalist or the plain model kept a rate."""
        begin = self.clock()
        finalists = choosing.finalists(self.ranking, self.study.space.baseline, self.confirm)
        kept: dict[str, Probe] = {}
        for name, result in finalists.items():
            best = max((probe.rate for probe in kept.values()), default=0.0)
            if name == BASELINE or _rate(result) > best:
                found = self._kept(name, result, begin + self.seconds)
                kept |= {} if found is None else {name: found}
        winner = max(kept, key=lambda name: kept[name].rate, default=None)
        reason = None if winner else f"no rate of requests was kept for {SECONDS:.0f} s within the time"
        return Confirmation(
            confirmed=winner is not None,
            gain=winner not in (None, BASELINE),
            winner=None if winner is None else self._winner(finalists[winner], kept, winner),
            noise_floor=None,
            finalists=tuple(self._finalist(name, result, kept) for name, result in finalists.items()),
            reason=reason,
            seconds=self.clock() - begin,
        )

    def _kept(self, name: str, result: TrialResult, end: float) -> Probe | None:
        """The largest rate that it kept for a minute, from the one that the search found downwards."""
        for number, rate in enumerate(_lowering(_rate(result))):
            if rate == 0 or self.clock() + SECONDS + START_S > end:
                return None
            self.observer.confirming(f"serving {rate:.4g} requests a second for {SECONDS:.0f} s: {name}")
            folder = f"{FOLDER}/{name}-{number}"
            spec = TrialSpec(id=number, workload=self.study.space.workload, config=result.spec.config, folder=folder)
            probe = self.sustain(spec, self.rules, rate, SECONDS)
            if probe is None or probe.kept:
                return probe
        return None

    def _winner(self, result: TrialResult, kept: dict[str, Probe], name: str) -> Winner:
        known = self.ranking.known(result) | {"served_rate": kept[name].rate}
        return Winner(
            trial=result.spec.id,
            config=result.spec.config,
            throughput=self.ranking.interval(result),
            ratio=_ratio(kept, name) or Estimate(estimate=1.0, low=None, high=None),
            sittings=0,
            rounds=0,
            folders=(),
            peak_rss_bytes=result.peak_rss_bytes,
            setup_s=result.setup_s,
            cpu_s_per_sample=known["cpu_s_per_sample"],
            fidelity=result.fidelity,
            accuracy=result.accuracy,
            artifact=result.artifact,
            versions=result.versions,
            figures=known,
            flags=result.flags,
            sustained=kept[name],
        )

    def _finalist(self, name: str, result: TrialResult, kept: dict[str, Probe]) -> Finalist:
        error = None if name in kept else f"its {_rate(result):.4g} requests a second were not kept, or not tried"
        return Finalist(trial=result.spec.id, config=result.spec.config, ratio=_ratio(kept, name), error=error)


def _rate(result: TrialResult) -> float:
    return 0.0 if result.served is None else result.served.rate


def _lowering(rate: float) -> Iterator[float]:
    return itertools.accumulate(itertools.repeat(LOWER), lambda before, by: before * by, initial=rate)


def _ratio(kept: dict[str, Probe], name: str) -> Estimate | None:
    """How many times the plain model's rate; None without both."""
    if name not in kept or BASELINE not in kept:
        return None
    return Estimate(estimate=kept[name].rate / kept[BASELINE].rate, low=None, high=None)
