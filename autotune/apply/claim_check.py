"""The check of a `best.json`'s claim: it and its baseline are measured in turn, and the ratio is held to the claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotune.analysis import constraints, metrics
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import METRICS
from autotune.analysis.rate_probe import claim_seconds
from autotune.apply import best_file, verification
from autotune.apply.verification import Verdict, Verification
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.executor import Executor
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Goal, Price
from autotune.core.specs import TrialSpec
from autotune.study.confirm import aggregate, outcomes, paired_comparison, schedule, scores
from autotune.study.confirm.ablation import LEAST_RUNS
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.names import BASELINE, WINNER
from autotune.study.confirm.paired_comparison import PairedComparison

CANDIDATES = (WINNER, BASELINE)


@dataclass(frozen=True)
class ClaimCheck:
    """One verification: the file, this machine, the two configurations by name, and the folder that the runs go to."""

    best: Best
    hw: Hardware
    configs: Mapping[str, Config]
    root: Path
    rules: MeasureRules
    confirm: ConfirmRules
    clock: Callable[[], float] = time.monotonic

    def compare(self, executor: Executor, seconds: float) -> Verification:
        """Measure both in turn until the claim holds or fails for sure, or the seconds are used up."""
        begin = self.clock()
        paired = PairedComparison(
            name="verify",
            root=self.root,
            hardware=self.hw,
            workload=self.best.workload,
            configs=self.configs,
            rules=self.rules,
            confirm=self.confirm,
            objective=self.best.objective[0],
        )
        runs = paired_comparison.compare(
            paired, executor, self._unanswered, seconds, seconds, self._fit_together, self.clock
        )
        return msgspec.structs.replace(self._concluded(runs), seconds=self.clock() - begin)

    def serve(self, executor: Executor) -> Verification:
        """Serve nearly the claimed rate of requests for as long as a claim asks; nothing is compared then."""
        claimed, serving = self.best.measured.served_rate, self.best.workload.serving
        if claimed is None or serving is None:
            return self.verification("unresolved", ["the file has no rate of requests that was served"])
        rate = claimed * verification.LEAST_SERVED
        spec = TrialSpec(id=0, workload=self.best.workload, config=self.best.config, folder="served")
        sustained = executor.sustain(spec, self.rules, rate, claim_seconds(rate, serving))
        if sustained.probe is None:
            found = self.verification("fails", [f"the {WINNER} failed: {sustained.error}"])
            return msgspec.structs.replace(found, logs=str(self.root))
        values = metrics.values(Measured(sustained))
        # A load test shows the answers and the start; other metrics were confirmed where they are an objective.
        shown = [
            limit
            for limit in self.best.constraints
            if limit.metric in values or METRICS[limit.metric].needs in ("outputs", "data")
        ]
        checks = constraints.check(shown, values)
        reasons = [] if sustained.probe.kept else ["the latency was not kept"]
        reasons += [check.description for check in checks if not check.satisfied]
        found = self.verification("fails" if reasons else "holds", reasons)
        return msgspec.structs.replace(found, served=sustained.probe, seconds=sustained.probe.seconds)

    def verification(self, said: Verdict, reasons: Sequence[str], ratio: Estimate | None = None) -> Verification:
        """A verdict with what is known before anything is measured."""
        return Verification(
            verdict=said,
            reasons=tuple(reasons),
            objective=self.best.objective[0],
            ratio=ratio,
            claimed=self.best.measured.speedup,
            baseline_known=self.best.baseline is not None,
            differences=tuple(best_file.differences(self.best, self.hw)),
        )

    @property
    def _constraints(self) -> Constraints:
        """The limits of the winner, by the price that the file's cost was found with."""
        cost, rate = self.best.measured.cost_per_million, self.best.measured.throughput.estimate
        price = None if cost is None else Price(per_hour=cost * rate * 3600 / 1e6)
        goal = Goal(objectives=self.best.objective, limits=self.best.constraints, price=price)
        return Constraints(self.root, goal, self.confirm.confidence)

    @property
    def _fit_together(self) -> bool:
        """True if both fit into memory at once, the baseline taken to be no larger."""
        known = self.best.measured.peak_rss_bytes
        return known is None or 2 * known <= self.rules.memory_fraction * self.hw.usable_memory_bytes

    def _unanswered(self, runs: Sequence[InterleavedRun]) -> set[str]:
        """Both, until the question is answered at a look that is due; none once one of them keeps failing."""
        if any(outcomes.failed(runs, name) for name in CANDIDATES):
            return set()
        complete = [run for run in runs if outcomes.complete([run], CANDIDATES)]
        due = schedule.looks(len(complete), self.confirm)
        answered = any(self._judged(complete[:count])[0] != "unresolved" for count in due)
        return set() if answered else set(CANDIDATES)

    def _judged(self, runs: Sequence[InterleavedRun]) -> tuple[Verdict, str | None]:
        enough = outcomes.complete(runs, CANDIDATES) >= LEAST_RUNS
        return verification.judge(self._ratio(runs) if enough else None, self.best.measured.speedup, self.confirm.delta)

    def _ratio(self, runs: Sequence[InterleavedRun]) -> Estimate | None:
        table = scores.table(runs, CANDIDATES, self.confirm.confidence, self.best.objective[0])
        return table.ratio(WINNER, BASELINE)

    def _concluded(self, runs: Sequence[InterleavedRun]) -> Verification:
        said, why = self._judged(runs)
        reasons = [] if why is None else [why]
        logs = None
        for name in (BASELINE, WINNER):
            if error := _failure(runs, name):
                said, reasons = without(name), [f"the {name} failed: {error}"]
                logs = str(self.root)
        if (broken := self._constraints.broken(runs, WINNER)) is not None:
            said, reasons = "fails", [broken.description, *(reasons if said == "fails" else [])]
        confidence = self.confirm.confidence
        winner, baseline = (aggregate.merge(self.root, runs, name, confidence) for name in CANDIDATES)
        count, rounds = scores.table(runs, CANDIDATES, confidence).counts(WINNER, BASELINE)
        return msgspec.structs.replace(
            self.verification(said, reasons, self._ratio(runs)),
            throughput=winner and winner.rate,
            baseline_throughput=baseline and baseline.rate,
            runs=count,
            rounds=rounds,
            logs=logs,
        )


def without(name: str) -> Verdict:
    """The verdict where one of the two does not run: without a baseline nothing is known."""
    return "fails" if name == WINNER else "unresolved"


def _failure(runs: Sequence[InterleavedRun], name: str) -> str | None:
    """The reason why a configuration was given up, or never ran in the time that there was; None if it ran."""
    if outcomes.complete(runs, [name]):
        return outcomes.failure(runs, name)
    errors = [run.candidates[name].error for run in runs if name in run.candidates]
    return next(filter(None, reversed(errors)), None)
