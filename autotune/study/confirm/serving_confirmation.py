"""The confirmation of a rate of requests: finalists serve their own for a minute or longer, in fresh processes.

A rate that is not kept is lowered until one is, or until it cannot win. Nothing is interleaved here, so the claim is
the rate alone; its ratio to the baseline's has no interval.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.analysis import rate_probe
from autotune.analysis.constraints import ConstraintCheck
from autotune.core.confirmation import Confirmation, Finalist, Winner
from autotune.core.estimate import Estimate
from autotune.core.files import write_atomically
from autotune.core.results import Sustained
from autotune.core.specs import TrialSpec
from autotune.study import versions
from autotune.study.confirm import finalists
from autotune.study.confirm.context import Context
from autotune.study.confirm.served_finalist import ServedFinalist
from autotune.study.storage import store

START_S = 10.0
"""The time allowed for starting a configuration, when it is decided whether there is time for its requests."""

FINALISTS = 3
"""At most so many; each serves its rate for a minute or longer, and by itself."""

FOLDER = "confirmation/served"


class ServingConfirmation:
    """The finalists' rates of requests; what is served is on disk before the next, and not served again."""

    def __init__(self, context: Context) -> None:
        self.context = context
        study = context.study
        rules = msgspec.structs.replace(context.confirm, finalists=min(FINALISTS, context.confirm.finalists))
        chosen = finalists.choose(context.ranking, study.space, rules, study.hardware)
        self.unavailable = chosen.unavailable
        self.finalists = [ServedFinalist(name, trial) for name, trial in chosen.trials.items()]
        self.baseline = next(one for one in self.finalists if one.is_baseline)

    def run(self) -> Confirmation:
        """The largest rate that could be kept in the time; nothing is claimed while a better finalist was not tried."""
        for line in self.unavailable:
            self.context.observer.notice(f"{line}; it is left out")
        while (finalist := self._next()) is not None:
            finalist.tried.append(self._served(finalist))
        winner = max(self._able(), key=lambda one: one.kept_rate, default=None)
        reason = self._reason(winner)
        if reason is not None:
            winner = None
        return Confirmation(
            confirmed=winner is not None,
            gain=winner is not None and self._gains(winner),
            winner=None if winner is None else self._winner(winner),
            noise_floor=None,
            finalists=tuple(map(self._finalist, self.finalists)),
            reason=reason,
            seconds=self.context.left.elapsed(),
        )

    # ---------------------------------------------------------------------------------------------------- what is next

    def _next(self) -> ServedFinalist | None:
        """The largest rate and that of the baseline, which the others are held against, in turn."""
        able = [one for one in self.finalists if self._may_win(one) and self._in_time(one)]
        others = [one for one in able if not one.is_baseline]
        served = sum(len(one.tried) for one in self.finalists if not one.is_baseline)
        if self.baseline in able and (not others or len(self.baseline.tried) < served):
            return self.baseline
        return max(others, key=lambda one: one.next_rate, default=None)

    def _may_win(self, finalist: ServedFinalist) -> bool:
        """True if its next rate matters: a finalist's could win, the baseline's is wanted in any case."""
        best = max((one.kept_rate for one in self._able()), default=0.0)
        return not finalist.finished and finalist.next_rate > (0.0 if finalist.is_baseline else best)

    def _in_time(self, finalist: ServedFinalist) -> bool:
        return self._earlier(finalist) is not None or self._seconds(finalist) + START_S <= self.context.left()

    def _seconds(self, finalist: ServedFinalist) -> float:
        """The seconds for which its next rate must be kept."""
        serving = self.context.study.space.workload.serving
        return rate_probe.CLAIM_S if serving is None else rate_probe.claim_seconds(finalist.next_rate, serving)

    # --------------------------------------------------------------------------------------------------------- serving

    def _served(self, finalist: ServedFinalist) -> Sustained:
        """The outcome of its next rate, in this run or an earlier one."""
        earlier = self._earlier(finalist)
        if earlier is not None:
            return earlier
        context, study = self.context, self.context.study
        rate, seconds, path = finalist.next_rate, self._seconds(finalist), self._path(finalist)
        what = f"serving {rate:.4g} requests a second for {seconds:.0f} s: {finalist.name}"
        context.observer.confirming(what, seconds, claims=True)
        spec = TrialSpec(
            id=len(finalist.tried),
            workload=study.space.workload,
            config=finalist.trial.spec.config,
            folder=str(path.parent.relative_to(study.folder)),
        )
        sustained = context.executor.sustain(spec, context.rules, rate, seconds)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, store.encode(sustained))
        return sustained

    def _path(self, finalist: ServedFinalist) -> Path:
        folder = f"{finalist.name}-{len(finalist.tried)}"
        return self.context.study.folder / FOLDER / folder / "sustained.json"

    def _earlier(self, finalist: ServedFinalist) -> Sustained | None:
        """The outcome of its next rate in an earlier run.

        None after a failure, which is tried again, and where other package versions served it.
        """
        path = self._path(finalist)
        if not path.exists():
            return None
        sustained = store.decode(path, Sustained, "delete it, and the rate is served again")
        hw, config = self.context.study.hardware, finalist.trial.spec.config
        same_rate = sustained.probe is not None and sustained.probe.rate == finalist.next_rate
        return sustained if same_rate and not versions.changed(config, sustained.versions, hw) else None

    # --------------------------------------------------------------------------------------------------------- judging

    def _able(self) -> list[ServedFinalist]:
        """Those that may win: they kept a rate, and all limits by what the search and now the workers showed."""
        return [one for one in self.finalists if one.kept and one.trial.feasible and self._broken(one) is None]

    def _broken(self, finalist: ServedFinalist) -> ConstraintCheck | None:
        """The limit that a finalist which kept its rate breaks the most; None where it keeps all."""
        if finalist.kept is None:
            return None
        broken = [check for check in self.context.ranking.checks(finalist.result) if not check.satisfied]
        return max(broken, key=lambda check: check.violation, default=None)

    def _gains(self, winner: ServedFinalist) -> bool:
        """True if the baseline is known to keep less: its rate was kept, or the search found none."""
        known = self.baseline.kept is not None or self.baseline.searched_rate == 0
        return winner is not self.baseline and known and winner.kept_rate > self.baseline.kept_rate

    def _reason(self, winner: ServedFinalist | None) -> str | None:
        """The reason why nothing is claimed; None if it can be."""
        untried = [one for one in self.finalists if not one.is_baseline and self._may_win(one)]
        if winner in (None, self.baseline) and untried:
            best = max(untried, key=lambda one: one.next_rate)
            return (
                f"the time was not enough to serve {best.next_rate:.4g} requests a second for the "
                f"{self._seconds(best):.0f} s that a claim needs; raise --minutes"
            )
        return None if winner else "no finalist kept a rate of requests and the limits"

    # --------------------------------------------------------------------------------------------------------- results

    def _ratio(self, finalist: ServedFinalist) -> Estimate | None:
        """Its rate over the baseline's; None without both."""
        if finalist.kept is None or self.baseline.kept is None:
            return None
        return Estimate(estimate=finalist.kept_rate / self.baseline.kept_rate, low=None, high=None)

    def _winner(self, finalist: ServedFinalist) -> Winner:
        result, ranking = finalist.result, self.context.ranking
        known = ranking.known(result)
        return Winner(
            trial=result.spec.id,
            config=result.spec.config,
            throughput=ranking.interval(result),
            ratio=self._ratio(finalist),
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
            sustained=finalist.kept,
        )

    def _finalist(self, finalist: ServedFinalist) -> Finalist:
        broken = self._broken(finalist)
        return Finalist(
            trial=finalist.trial.spec.id,
            config=finalist.trial.spec.config,
            ratio=self._ratio(finalist),
            error=finalist.tried[-1].error if finalist.tried else None,
            broken=None if broken is None else broken.description,
            served=finalist.outcome(self._may_win(finalist)),
        )
