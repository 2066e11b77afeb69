"""The confirmation: finalists and baseline measured against each other; the only source of claims.

1. Finalists: the best trials and the baseline, the leader twice, sit until one is selected or the time is used up.
2. Explaining (`explain.py`): what each setting of the winner is worth, and the winner without what is worth nothing.
3. The configuration to export is measured as a whole, with the steps that lead to it from the baseline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from autotune.core.config import Config
from autotune.core.confirmation import Ablation, Confirmation, Finalist, Step, Winner
from autotune.core.executor import Executor, HookedExecutor
from autotune.core.observer import Observer
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget
from autotune.study.confirm import ablation, comparison, decision, sample_size
from autotune.study.confirm import winner as claim
from autotune.study.confirm.aggregate import Limits, pooled
from autotune.study.confirm.comparison import PairedComparison, Table
from autotune.study.confirm.decision import BASELINE, Chosen, Running
from autotune.study.confirm.serving import ServingConfirmation
from autotune.study.ranking import Ranking
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from autotune.study.storage.stopwatch import stopwatch

LEAST_S = 180.0
"""What a confirmation may take at least where no minutes are given."""


def confirm(
    study: OpenStudy,
    executor: Executor,
    observer: Observer,
    rules: MeasureRules,
    confirm_rules: ConfirmRules,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Confirmation | None:
    """Confirm the winner of the search within its part of the budget, going on where an earlier run was interrupted.

    None if there is nothing to confirm (the baseline or any other trial is missing). The result is also written to the
    study's `confirmation.json`. A rate of requests is confirmed by serving it, everything else in interleaved runs.
    """
    with store.disk(study.folder):
        ranking = Ranking(store.results(study.folder), study.space.goal, study.hardware)
        if not any(result.spec.config != study.space.baseline for result in ranking.order()):
            return None
        if ranking.baseline(study.space.baseline) is None:
            return None
        earlier = store.confirmation(study.folder)
        if earlier is not None and earlier.confirmed and earlier.finished:
            return earlier
        with stopwatch(study, clock) as elapsed:
            timed = HookedExecutor(executor, after=lambda: store.write_elapsed(study.folder, elapsed()))
            minutes = study.space.budget.minutes
            seconds = _seconds(study.space.budget, elapsed(), confirm_rules)
            most = seconds if minutes is None else minutes * 60 - elapsed()
            if study.space.goal.objectives == ("served_rate",):
                # Each rate takes a minute or longer: all that the search left is not too much.
                rate = ServingConfirmation(study, timed, observer, rules, confirm_rules, ranking, most, clock)
                found = rate.run()
            else:
                rest = (observer, rules, confirm_rules, ranking, clock, clock(), seconds, most)
                found = _Confirming(study, timed, *rest).run()
        store.write_confirmation(study.folder, found)
        return found


def _seconds(budget: Budget, elapsed_s: float, rules: ConfirmRules) -> float:
    """What is left of the minutes, at most its share of them; without such a limit, in proportion to the search."""
    if budget.minutes is None:
        return max(LEAST_S, elapsed_s * rules.share / (1 - rules.share))
    return min(budget.minutes * 60 - elapsed_s, budget.minutes * 60 * rules.share)


@dataclass
class _Confirming:
    study: OpenStudy
    executor: Executor
    observer: Observer
    rules: MeasureRules
    confirm: ConfirmRules
    ranking: Ranking
    clock: Callable[[], float]
    begin: float
    seconds: float
    most: float
    timed: Sequence[InterleavedRun] = ()
    out: dict[str, Finalist] = field(default_factory=dict)
    alone: tuple[InterleavedRun, ...] = ()

    @property
    def _limits(self) -> Limits:
        return Limits(self.study.folder, self.study.space.goal, self.confirm.confidence, self.alone)

    def run(self) -> Confirmation:
        chosen, runs = self._chosen()
        while not chosen.gain and self._dropped(chosen):
            self.seconds = self.most  # those who take their place may have what the search left of the minutes
            if self._left() <= 0:
                break
            chosen, runs = self._chosen()
        concluded = self._concluded(chosen, runs)
        if not chosen.gain or self._limits.several:
            return concluded
        # Kept at once: whatever ends the explaining early must not take the claim along.
        store.write_confirmation(self.study.folder, msgspec.structs.replace(concluded, finished=False))
        return self._explained(chosen, runs)

    def _chosen(self) -> tuple[Chosen, list[InterleavedRun]]:
        """Whom the finalists' interleaved runs choose, judged by enough calls where a percentile is limited."""
        baseline = self.study.space.baseline
        finalists = decision.finalists(self.ranking, baseline, self.confirm, self.out)
        what = f"confirming {len(finalists)} configurations against each other"
        share = self._left() * self.confirm.finalists_share
        running = Running(finalists, self.confirm, self._limits)
        runs = self._runs("finalists", what, decision.configs_by_name(finalists), running, share)
        while True:
            chosen = decision.choose(runs, finalists, baseline, self.confirm, self._limits)
            if not chosen.gain or not self._backed(chosen.name, chosen.config, runs):
                return chosen, runs

    def _dropped(self, chosen: Chosen) -> bool:
        """Put aside the finalists that broke a limit; whether there were any, and others can take their place."""
        broken = {one.config.key: one for one in chosen.finalists if one.broken is not None}
        broken.pop(self.study.space.baseline.key, None)
        self.out |= broken
        left = {result.spec.config.key for result in self.ranking.order()} - self.out.keys()
        return bool(broken) and bool(left - {self.study.space.baseline.key})

    def _backed(self, name: str, config: Config, runs: Sequence[InterleavedRun]) -> bool:
        """Measure a configuration alone for the calls that a limited percentile still wants; False if none are."""
        folder, space = self.study.folder, self.study.space
        wanted = PairedComparison(f"alone-{name}", folder, space.workload, {name: config}, self.rules, self.confirm)
        earlier = [one for one in wanted.runs() if one not in self.alone]
        self.alone += tuple(earlier)
        found = pooled(folder, [*runs, *self.alone], name, self.confirm.confidence)
        rounds = None if found is None else sample_size.rounds(space.goal, found, self._left() * ablation.SHARE)
        if rounds is None:
            return bool(earlier)
        self.observer.confirming(f"measuring the latency of {name} by more calls")
        run = comparison.another(wanted, self.executor, wanted.runs(), [name], rounds, self._left())
        self.alone += () if run is None else (run,)
        # One that fails alone brings no calls, however often it is tried.
        return run is not None and bool(run.candidates[name].blocks)

    def _left(self) -> float:
        return self.seconds - (self.clock() - self.begin)

    def _runs(
        self,
        name: str,
        what: str,
        configs: dict[str, Config],
        keep: comparison.Keep,
        seconds: float,
        limit_s: float | None = None,
    ) -> list[InterleavedRun]:
        """A comparison within so many seconds; for the runs that it needs it may go on to the limit or the end.

        The observer is told what it is once its first interleaved run begins.
        """
        untold = [what]

        def tell() -> None:
            while untold:
                self.observer.confirming(untold.pop())

        told = HookedExecutor(self.executor, before=tell)
        folder, space = self.study.folder, self.study.space
        wanted = PairedComparison(
            name, folder, space.workload, configs, self.rules, self.confirm, space.goal.objectives[0]
        )
        limit_s = self._left() if limit_s is None else limit_s
        found = comparison.run(wanted, told, keep, seconds, limit_s, self._fits(configs), self.clock, self.timed)
        self.timed = found or self.timed
        return found

    def _fits(self, configs: dict[str, Config]) -> bool:
        """Whether these may be started together; not where the time to set up is wanted.

        They must fit into memory at once, as far as trials tell; an unknown one counts as the largest.
        """
        if "setup_s" in self.study.space.goal.objectives:
            return False
        known = {r.spec.config.key: r.peak_rss_bytes for r in self.ranking.results if r.peak_rss_bytes is not None}
        largest = max(known.values(), default=0)
        needed = sum(known.get(config.key, largest) for config in configs.values())
        return needed <= self.rules.memory_fraction * self.study.hardware.usable_memory_bytes

    def _explained(self, chosen: Chosen, runs: list[InterleavedRun]) -> Confirmation:
        """What the winner's settings are worth; then the winner, less those worth nothing, measured as a whole."""
        baseline, hw = self.study.space.baseline, self.study.hardware
        variants = ablation.variants(chosen.config, baseline, hw)
        impossible = ablation.impossible(chosen.config, baseline, hw)
        left_out = {"winner": chosen.config} | {name: config for name, (_, config) in variants.items()}
        unresolved = ablation.Unresolved(variants, self.confirm)
        share = self._left() * ablation.SHARE
        what = "measuring what each setting of the winner is worth"
        one_out = self._runs("one-out", what, left_out, unresolved, share, share)
        ablations = (*ablation.ablations(one_out, variants, self.confirm), *impossible)
        reduced = ablation.reduced(chosen.config, baseline, ablations, hw)
        whole: list[InterleavedRun] = []
        if reduced != chosen.config:
            whole = self._whole(chosen.config, reduced)
            if not self._upheld(whole, chosen.noise_floor):
                ablations, reduced, whole = ablation.kept(ablations), chosen.config, []
        path = self._path(reduced, ablations)
        return self._concluded(chosen, runs, ablations, path, whole)

    def _whole(self, config: Config, reduced: Config) -> list[InterleavedRun]:
        """The winner with and without what is worth nothing, against the baseline."""
        what = "measuring the winner without the settings that are worth nothing"
        candidates = {BASELINE: self.study.space.baseline, ablation.WINNER: reduced, ablation.UNREDUCED: config}
        whole = self._runs(
            "whole", what, candidates, ablation.Whole(candidates, self.confirm), self._left() * ablation.SHARE
        )
        self._backed(ablation.WINNER, reduced, whole)
        return whole

    def _path(self, winner: Config, ablations: Sequence[Ablation]) -> tuple[Step, ...]:
        """The steps from the baseline to the winner, as far as the time allows."""
        baseline = self.study.space.baseline
        stages = ablation.stages(winner, baseline, ablations, self.study.hardware)
        if len(stages) < 2:  # then the finalists say it all
            return ()
        candidates = {BASELINE: baseline} | {name: stage.config for name, stage in stages.items()}
        what = f"measuring the way from the baseline to the winner in {len(stages)} steps"
        runs = self._runs("path", what, candidates, ablation.Whole(candidates, self.confirm), self._left())
        return ablation.path(comparison.table(runs, list(candidates), self.confirm.confidence), stages)

    def _upheld(self, whole: list[InterleavedRun], floor: float | None) -> bool:
        """Whether the reduced winner, measured as a whole, keeps the limits, beats the baseline and loses nothing."""
        rates = comparison.table(whole, [ablation.WINNER, ablation.UNREDUCED, BASELINE], self.confirm.confidence)
        loss = rates.difference(ablation.UNREDUCED, ablation.WINNER)
        gain = rates.difference(ablation.WINNER, BASELINE)
        if rates.counts(ablation.WINNER, BASELINE)[0] < self.confirm.runs or loss.low is None or gain.low is None:
            return False
        kept = self._limits.broken(whole, ablation.WINNER, tried=False) is None
        return kept and gain.low > 0 and gain.estimate > (floor or 0.0) and loss.estimate <= self.confirm.delta

    def _concluded(
        self,
        chosen: Chosen,
        runs: Sequence[InterleavedRun],
        ablations: tuple[Ablation, ...] = (),
        path: tuple[Step, ...] = (),
        whole: Sequence[InterleavedRun] = (),
    ) -> Confirmation:
        """With the claim from the runs of the configuration that is exported: `whole` those of a reduced one."""
        winner = None
        if whole:
            rates = comparison.table(whole, [ablation.WINNER, BASELINE], self.confirm.confidence)
            winner = self._winner(ablation.WINNER, whole, rates)
        elif chosen.reason is None:
            winner = self._winner(chosen.name, runs, chosen.rates)
        return Confirmation(
            confirmed=winner is not None,
            gain=chosen.gain and winner is not None and (self._limits.several or claim.above_one(winner.ratio)),
            winner=winner,
            noise_floor=chosen.noise_floor,
            finalists=(*chosen.finalists, *(one for one in self.out.values() if one not in chosen.finalists)),
            ablations=ablations,
            path=path,
            reason=chosen.reason,
            disturbed=claim.disturbed(whole or runs),
            seconds=self.clock() - self.begin,
        )

    def _winner(self, name: str, runs: Sequence[InterleavedRun], rates: Table) -> Winner:
        found = pooled(self.study.folder, [*runs, *self.alone], name, self.confirm.confidence)
        assert found is not None
        return claim.winner(found, rates, (name, BASELINE), self.ranking.results, self.study.space.price)
