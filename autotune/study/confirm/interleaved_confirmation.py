"""The confirmation by interleaved runs, of every objective but a rate of requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from autotune.core.confirmation import Ablation, Confirmation, Finalist, Step, Winner
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import ablation, claim, decision, finalists, path, reduction, scores
from autotune.study.confirm.context import Context
from autotune.study.confirm.decision import Decision
from autotune.study.confirm.finalists import Finalists
from autotune.study.confirm.names import BASELINE, WINNER
from autotune.study.confirm.runner import FINALISTS, Runner
from autotune.study.confirm.schedule import Keep
from autotune.study.confirm.scores import ScoreTable
from autotune.study.confirm.until_selected import UntilClaimed, UntilSelected, UntilWinnerClaimed
from autotune.study.storage import store


class InterleavedConfirmation:
    """One confirmation; `excluded` are the finalists that broke a limit, by their configuration's key."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.runner = Runner(context)
        self.excluded: dict[str, Finalist] = {}

    def run(self) -> Confirmation:
        """Decide among the finalists, then explain the winner; others take the place of those that break a limit."""
        chosen = self._finalists()
        for line in chosen.unavailable:
            self.context.observer.notice(f"{line}; it is left out")
        if chosen.trials.keys() == {BASELINE}:
            return claim.none("; ".join(chosen.unavailable))
        decided, runs = self._decided(chosen)
        while not decided.gain and self._exclude(decided):
            chosen = self._finalists()
            self.context.left.extend()
            if chosen.trials.keys() == {BASELINE} or self.context.left() <= 0:
                break
            decided, runs = self._decided(chosen)
        found = self._concluded(decided, runs)
        if decided.gain and not self.runner.constraints.multi_objective:
            self._keep(decided, runs)
            found = self._explained(decided, runs)
        met = {name for run in runs for name in run.candidates}
        missed = [name.replace("-", " ") for name in chosen.trials if name not in {*met, BASELINE}]
        if missed:
            other = "the winner" if decided.gain else "the baseline"
            self.context.observer.notice(f"there was no time to compare {', '.join(missed)} with {other}")
        return msgspec.structs.replace(found, finished=not missed)

    def first(self) -> Confirmation:
        """A claim for the best of a search that goes on."""
        decided, runs = self._claimed(self._best(), self.context.confirm.sure_runs)
        return msgspec.structs.replace(self._concluded(decided, runs), finished=False)

    def _best(self) -> Finalists:
        """The finalist that a first claim is made for."""
        return self._finalists(msgspec.structs.replace(self.context.confirm, finalists=1))

    def _finalists(self, rules: ConfirmRules | None = None) -> Finalists:
        """The best, and what an earlier confirmation claims; less what broke a limit."""
        context, study = self.context, self.context.study
        earlier = store.confirmation(study.folder)
        claimed = None if earlier is None or not earlier.gain or earlier.winner is None else earlier.winner.config.key
        rules = context.confirm if rules is None else rules
        return finalists.choose(context.ranking, study.space, rules, study.hardware, self.excluded.keys(), claimed)

    def _decided(self, chosen: Finalists) -> tuple[Decision, list[InterleavedRun]]:
        """The decision and the runs behind it, with enough calls of the winner where a percentile is limited."""
        if self.runner.constraints.multi_objective:
            decided, runs = self._claimed(chosen)
        else:
            self._claimed(self._best(), self.context.confirm.sure_runs)
            decided, runs = self._claimed(chosen)
            if decided.gain:
                decided, runs = self._selected(chosen)
        while decided.gain and self.runner.measure_more_calls(decided.name, decided.config, runs):
            decided = self._decide(chosen, runs)
        return decided, runs

    def _selected(self, chosen: Finalists) -> tuple[Decision, list[InterleavedRun]]:
        """The decision once the best of these is known, and has a claim of its own."""
        decide = self._provisional(chosen)
        rule = UntilSelected(self.context.confirm, decide)
        self._compare(chosen, "telling the best of them apart", rule)
        headline = "confirming the best of them against the baseline"
        runs = self._compare(chosen, headline, UntilWinnerClaimed(decide), self.context.left.most())
        return self._decide(chosen, runs), runs

    def _claimed(self, chosen: Finalists, most: float = math.inf) -> tuple[Decision, list[InterleavedRun]]:
        """The decision once one of these has a claim, or it is known that none gets one; at the latest after `most`."""
        context = self.context
        headline = f"confirming {len(chosen.trials)} configurations against each other"
        rule = UntilClaimed(chosen, context.confirm, self.runner.constraints, self._provisional(chosen), most)
        runs = self._compare(chosen, headline, rule, context.left.most())
        return self._decide(chosen, runs), runs

    def _compare(
        self, chosen: Finalists, headline: str, keep: Keep, limit_s: float | None = None
    ) -> list[InterleavedRun]:
        """The runs of the finalists so far, and more until the rule is met: at most the finalists' part of the time."""
        left = self.context.left
        seconds = left.seconds * self.context.confirm.finalists_share - left.elapsed()
        seconds = max(0.0, min(seconds, left.most()))
        limit_s = seconds if limit_s is None else limit_s
        return self.runner.compare(FINALISTS, headline, chosen.configs, keep, seconds, limit_s)

    def _decide(self, chosen: Finalists, runs: Sequence[InterleavedRun], *, ended: bool = True) -> Decision:
        context = self.context
        baseline, constraints = context.study.space.baseline, self.runner.constraints
        return decision.decide(runs, chosen, baseline, context.confirm, constraints, ended=ended)

    def _provisional(self, chosen: Finalists) -> Callable[[Sequence[InterleavedRun]], Decision]:
        """The decision while more is measured; what would be claimed now is kept."""

        def decide(runs: Sequence[InterleavedRun]) -> Decision:
            self._keep(self._decide(chosen, runs), runs)
            return self._decide(chosen, runs, ended=False)

        return decide

    def _keep(self, decided: Decision, runs: Sequence[InterleavedRun]) -> None:
        """Keep what the runs say so far, unless an earlier claim stands: what ends it early must not take it along."""
        study = self.context.study
        if not runs:
            return
        found = msgspec.structs.replace(self._concluded(decided, runs), finished=False)
        earlier = store.confirmation(study.folder)
        if earlier is None or not claim.stands(earlier, found, study.space.baseline):
            store.write_confirmation(study.folder, found)

    def _exclude(self, decided: Decision) -> bool:
        """Put aside the finalists that broke a limit; false if none did."""
        broken = {one.config.key: one for one in decided.finalists if one.broken is not None}
        broken.pop(self.context.study.space.baseline.key, None)
        self.excluded |= broken
        return bool(broken)

    def _explained(self, decided: Decision, runs: Sequence[InterleavedRun]) -> Confirmation:
        """The claim with the worth of each setting and the path to the winner, less what is worth nothing."""
        left, rules = self.context.left, self.context.confirm
        left.keep(left.seconds * (1 - rules.finalists_share))
        ablations = ablation.measure(self.runner, decided.config)
        reduced = reduction.measure(self.runner, decided.config, ablations, decided.noise_floor)
        steps = path.measure(self.runner, reduced.config, reduced.ablations)
        return self._concluded(decided, runs, reduced.ablations, steps, reduced.runs)

    def _concluded(
        self,
        decided: Decision,
        runs: Sequence[InterleavedRun],
        ablations: tuple[Ablation, ...] = (),
        steps: tuple[Step, ...] = (),
        reduced_runs: Sequence[InterleavedRun] = (),
    ) -> Confirmation:
        """With the claim from the runs of the configuration that is exported, which a reduced one has of its own."""
        winner = None
        if reduced_runs:
            rates = scores.table(reduced_runs, [WINNER, BASELINE], self.context.confirm.confidence)
            winner = self._winner(WINNER, reduced_runs, rates)
        elif runs:
            winner = self._winner(decided.name, runs, decided.rates)
        multi_objective = self.runner.constraints.multi_objective
        return Confirmation(
            confirmed=winner is not None and decided.reason is None,
            gain=decided.gain and winner is not None and (multi_objective or claim.above_one(winner.ratio)),
            winner=winner,
            noise_floor=decided.noise_floor,
            finalists=(*decided.finalists, *(one for one in self.excluded.values() if one not in decided.finalists)),
            ablations=ablations,
            path=steps,
            reason=decided.reason,
            disturbed=claim.disturbed(reduced_runs or runs),
            seconds=self.context.left.elapsed(),
        )

    def _winner(self, name: str, runs: Sequence[InterleavedRun], rates: ScoreTable) -> Winner | None:
        """The candidate as the winner; None where no run has a block of it."""
        merged = self.runner.merged(name, runs)
        return (
            None
            if merged is None
            else claim.winner(name, merged, rates, self.context.ranking.results, self.context.study.space.price)
        )
