"""The confirmation of a rate of requests: finalists serve their own for a minute or longer, in fresh processes.

A rate that is not kept is lowered until one is, or until it cannot win. Nothing is interleaved here, so the claim is
the rate alone; its ratio to the plain model's has no interval.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from autotune.analysis import probe
from autotune.analysis.constraints import ConstraintCheck
from autotune.core.confirmation import Confirmation, Finalist, Winner
from autotune.core.executor import Executor
from autotune.core.files import write_atomically
from autotune.core.observer import Observer
from autotune.core.results import Estimate, Probe, Served, Sustained, TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.specs import TrialSpec
from autotune.study.confirm import decision
from autotune.study.confirm.decision import BASELINE
from autotune.study.ranking import Ranking
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy

START_S = 10.0
"""What starting a configuration may take beside its requests, when it is decided whether there is time for them."""

LOWER = 0.9
FOLDER = "confirmation/served"


@dataclass
class ServingConfirmation:
    """The finalists' rates of requests; what is served is on disk before the next, and not served again."""

    study: OpenStudy
    executor: Executor
    observer: Observer
    rules: MeasureRules
    confirm: ConfirmRules
    ranking: Ranking
    seconds: float
    clock: Callable[[], float] = time.monotonic
    finalists: dict[str, TrialResult] = field(init=False)
    tried: dict[str, list[Sustained]] = field(init=False)
    begin: float = field(init=False)

    def __post_init__(self) -> None:
        self.finalists = decision.finalists(self.ranking, self.study.space.baseline, self.confirm)
        self.tried = {name: [] for name in self.finalists}
        self.begin = self.clock()

    def run(self) -> Confirmation:
        """What could be kept in the seconds; nothing is claimed while a better finalist was not tried."""
        while (name := self._next()) is not None:
            self.tried[name].append(self._served(name))
        winner = max(self._able(), key=lambda name: self._kept(name).rate, default=None)
        reason = self._reason(winner)
        name = None if reason else winner
        return Confirmation(
            confirmed=name is not None,
            gain=name is not None and self._gain(name),
            winner=None if name is None else self._winner(name),
            noise_floor=None,
            finalists=tuple(map(self._finalist, self.finalists)),
            reason=reason,
            seconds=self.clock() - self.begin,
        )

    # ---------------------------------------------------------------------------------------------------- what is next

    def _next(self) -> str | None:
        """The largest rate and that of the plain model, which the others are held against, in turn."""
        able = [name for name in self.finalists if self._open(name) and self._in_time(name)]
        others = [name for name in able if name != BASELINE]
        served = sum(len(tried) for name, tried in self.tried.items() if name != BASELINE)
        if BASELINE in able and (not others or len(self.tried[BASELINE]) < served):
            return BASELINE
        return max(others, key=self._rate, default=None)

    def _rate(self, name: str) -> float:
        """What a finalist is asked for next: the rate that the search found, less a part for each that was not kept."""
        return _searched(self.finalists[name]) * LOWER ** len(self.tried[name])

    def _open(self, name: str) -> bool:
        """Whether its next rate matters: a finalist's could win, the plain model's is wanted in any case."""
        done = any(one.error is not None or (one.probe and one.probe.kept) for one in self.tried[name])
        best = max((self._kept(one).rate for one in self._able()), default=0.0)
        return not done and self._rate(name) > (0.0 if name == BASELINE else best)

    def _in_time(self, name: str) -> bool:
        left_s = self.seconds - (self.clock() - self.begin)
        return self._earlier(name) is not None or self._claim_s(name) + START_S <= left_s

    def _claim_s(self, name: str) -> float:
        wanted = self.study.space.workload.serving
        return probe.CLAIM_S if wanted is None else probe.claim_seconds(self._rate(name), wanted)

    # --------------------------------------------------------------------------------------------------------- serving

    def _served(self, name: str) -> Sustained:
        found = self._earlier(name)
        if found is None:
            rate, seconds = self._rate(name), self._claim_s(name)
            self.observer.confirming(f"serving {rate:.4g} requests a second for {seconds:.0f} s: {name}")
            config, path = self.finalists[name].spec.config, self._path(name)
            folder = str(path.parent.relative_to(self.study.folder))
            number = len(self.tried[name])
            spec = TrialSpec(id=number, workload=self.study.space.workload, config=config, folder=folder)
            found = self.executor.sustain(spec, self.rules, rate, seconds)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, store.encode(found))
        return found

    def _path(self, name: str) -> Path:
        return self.study.folder / FOLDER / f"{name}-{len(self.tried[name])}" / "sustained.json"

    def _earlier(self, name: str) -> Sustained | None:
        """What an earlier run found for its next rate; a failure is tried again."""
        path = self._path(name)
        if not path.exists():
            return None
        found = store.decode(path, Sustained, "delete it, and the rate is served again")
        return found if found.probe is not None and found.probe.rate == self._rate(name) else None

    # ------------------------------------------------------------------------------------------------------- judging

    def _kept(self, name: str) -> Probe:
        """The probe that a finalist kept; a rate of 0 where there is none."""
        probes = [one.probe for one in self.tried[name] if one.probe is not None and one.probe.kept]
        return probes[-1] if probes else Probe(rate=0.0, seconds=0.0, requests=0, over=0, latency_ms=0.0, kept=False)

    def _able(self) -> list[str]:
        """Those that may win: they kept a rate, and all limits by what the search and now the workers showed."""
        kept = [name for name in self.finalists if self._kept(name).kept]
        return [name for name in kept if self.finalists[name].feasible and self._broken(name) is None]

    def _shown(self, name: str) -> TrialResult:
        """The trial with what the workers that kept the rate showed in place of its own."""
        result, found = self.finalists[name], self.tried[name][-1]
        shown = {
            key: value
            for key in ("setup_s", "peak_rss_bytes", "fidelity", "accuracy")
            if (value := getattr(found, key)) is not None
        }
        probe = self._kept(name)
        return msgspec.structs.replace(result, served=Served(rate=probe.rate, probes=(probe,)), **shown)

    def _broken(self, name: str) -> ConstraintCheck | None:
        """The limit that a finalist which kept its rate breaks the most; None where it keeps all."""
        broken = [one for one in self.ranking.checks(self._shown(name)) if not one.satisfied]
        return max(broken, key=lambda one: one.violation, default=None)

    def _gain(self, name: str) -> bool:
        """Whether the plain model is known to keep less: its rate was kept, or the search found none."""
        plain = self._kept(BASELINE)
        known = plain.kept or _searched(self.finalists[BASELINE]) == 0
        return name != BASELINE and known and self._kept(name).rate > plain.rate

    def _reason(self, winner: str | None) -> str | None:
        """Why nothing is claimed; None if it can be."""
        late = [name for name in self.finalists if name != BASELINE and self._open(name)]
        if winner in (None, BASELINE) and late:
            name = max(late, key=self._rate)
            return (
                f"the time was not enough to serve {self._rate(name):.4g} requests a second for the "
                f"{self._claim_s(name):.0f} s that a claim needs; raise --minutes"
            )
        return None if winner else "no finalist kept a rate of requests and the limits"

    # -------------------------------------------------------------------------------------------------------- saying

    def _ratio(self, name: str) -> Estimate | None:
        """How many times the plain model's rate; None without both."""
        one, plain = self._kept(name), self._kept(BASELINE)
        return Estimate(estimate=one.rate / plain.rate, low=None, high=None) if one.kept and plain.kept else None

    def _winner(self, name: str) -> Winner:
        result = self._shown(name)
        known = self.ranking.known(result)
        return Winner(
            trial=result.spec.id,
            config=result.spec.config,
            throughput=self.ranking.interval(result),
            ratio=self._ratio(name),
            runs=0,
            rounds=0,
            folders=(),
            peak_rss_bytes=result.peak_rss_bytes,
            setup_s=result.setup_s,
            cpu_s_per_sample=known["cpu_s_per_sample"],
            fidelity=result.fidelity,
            accuracy=result.accuracy,
            artifact=result.artifact,
            versions=result.versions,
            metrics=known,
            flags=result.flags,
            sustained=self._kept(name),
        )

    def _finalist(self, name: str) -> Finalist:
        result, tried = self.finalists[name], self.tried[name]
        broken = self._broken(name) if self._kept(name).kept else None
        return Finalist(
            trial=result.spec.id,
            config=result.spec.config,
            ratio=self._ratio(name),
            error=tried[-1].error if tried else None,
            broken=None if broken is None else broken.description,
            served=self._outcome(name),
        )

    def _outcome(self, name: str) -> str:
        kept, tried = self._kept(name), self.tried[name]
        if kept.kept:
            return f"kept {kept.rate:.4g} requests a second for {kept.seconds:.0f} s"
        if _searched(self.finalists[name]) == 0:
            return "the search found no rate of requests that it keeps"
        rate = f"{self._rate(name):.4g} requests a second"
        why = f"no time for {rate}" if self._open(name) else f"{rate} cannot win"
        return f"did not keep {self._rate(name) / LOWER:.4g} requests a second; {why}" if tried else f"not tried: {why}"


def _searched(result: TrialResult) -> float:
    return 0.0 if result.served is None else result.served.rate
