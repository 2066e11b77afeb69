"""Verifying a `best.json`: it and its baseline measured now, here, in turn, by the rules of a confirmation."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotune.analysis import constraints, metrics
from autotune.analysis.metric import Measured
from autotune.analysis.metrics import METRICS
from autotune.analysis.probe import claim_seconds
from autotune.apply import best_file, verdict
from autotune.apply.plain_progress import PlainProgress
from autotune.apply.verdict import Verification
from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.errors import MachineError, StudyError
from autotune.core.executor import Executor
from autotune.core.machine import Hardware
from autotune.core.results import Estimate, InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Goal, Price
from autotune.core.specs import TrialSpec
from autotune.hardware import probe
from autotune.knobs import layout
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifacts, workload
from autotune.models.artifacts import PreparationFailed
from autotune.space import configs
from autotune.study.confirm import comparison
from autotune.study.confirm.ablation import WINNER
from autotune.study.confirm.aggregate import Limits, pooled
from autotune.study.confirm.comparison import PairedComparison
from autotune.study.confirm.decision import BASELINE

RULES, CONFIRM = MeasureRules(), ConfirmRules()


def verify(
    path: Path,
    *,
    minutes: float = 2.0,
    say: Callable[[str], None],
    rules: MeasureRules = RULES,
    confirm: ConfirmRules = CONFIRM,
) -> Verification:
    """Whether the claim of a `best.json` holds on this machine, after at most so many minutes of measuring.

    Preparing models comes on top, and waiting for another measurement. `say` is told what goes on, a line each.
    AutotuneError where the file is none or claims nothing, the model cannot be built or this machine cannot honour a
    configuration.
    """
    best, hw = claimed(path), probe.probe()
    configs = compared(best, hw, path)
    root = Path(tempfile.mkdtemp(prefix="autotune-verify-"))
    found = None
    try:
        with LocalExecutor(hw, root, artifacts.default_folder(), PlainProgress(say)) as executor:
            executor.check(best.workload, rules)
            checking = Checking(best, hw, configs, root, rules, confirm)
            if lacking := _unprepared(executor, checking):
                found = checking.found(*lacking)
            elif best.objective == ("served_rate",):
                found = checking.served(executor)
            else:
                found = checking.run(executor, minutes * 60)
        return found
    finally:
        if found is None or found.logs is None:
            shutil.rmtree(root, ignore_errors=True)


def claimed(path: Path) -> Best:
    """A `best.json` that claims something; StudyError where it is none, or it was never confirmed."""
    best = best_file.read(path)
    if not best.confirmed:
        raise StudyError(
            f"{path} has no claim to verify: its figures are the search's own, never confirmed; run the study again "
            "without --skip-confirmation and with more --minutes, which writes the file anew"
        )
    if best.objective != ("served_rate",) and best.measured.speedup is None:
        raise StudyError(
            f"{path} has no claim to verify: the baseline's figure was not confirmed; tune again with another --name "
            "and more --minutes"
        )
    return best


def compared(best: Best, hw: Hardware, path: Path) -> dict[str, Config]:
    """The configuration and its baseline by name; MachineError where one cannot be honoured here.

    A baseline on all cores of the tuned machine is one on all cores of this machine.
    """
    baseline = best.baseline or _plain(best, hw, path)
    if baseline.knobs["layout"] == layout.default(best.hardware):
        baseline = msgspec.structs.replace(baseline, knobs=baseline.knobs | {"layout": layout.default(hw)})
    wanted = {WINNER: best.config, BASELINE: baseline}
    for name, config in wanted.items():
        if reason := configs.unavailable(config, hw):
            raise MachineError(f"the {name} of {path} cannot be measured here: {reason}; or tune on this machine")
    return wanted


def _plain(best: Best, hw: Hardware, path: Path) -> Config:
    """The untuned model, for a file that does not say what its speed-up is over."""
    provider = workload.provider(best.workload)
    if getattr(plugins.load("backends", provider.plain), "free", False):
        raise MachineError(f"{path} names no baseline; write it again with `python -m autotune export {best.study}`")
    fixed = provider.fixed_batch(best.workload.name) if hasattr(provider, "fixed_batch") else None
    return configs.configure(hw, batch_size=fixed or 1, backend=provider.plain)


def _unprepared(executor: LocalExecutor, checking: Checking) -> tuple[verdict.Verdict, list[str]] | None:
    """Make all that is loaded, so that it takes none of the measuring's time; the verdict where that fails."""
    for name, config in checking.configs.items():
        try:
            executor.prepare(checking.best.workload, config, checking.rules)
        except PreparationFailed as error:
            return _without(name), [f"the {name} cannot be prepared: {error}"]
    return None


def _without(name: str) -> verdict.Verdict:
    """The verdict where one of the two does not run: without a baseline nothing is known."""
    return "fails" if name == WINNER else "unresolved"


@dataclass(frozen=True)
class Checking:
    """One verification: the file, this machine, what is compared, and the folder that the interleaved runs go to."""

    best: Best
    hw: Hardware
    configs: Mapping[str, Config]
    root: Path
    rules: MeasureRules
    confirm: ConfirmRules
    clock: Callable[[], float] = time.monotonic

    def run(self, executor: Executor, seconds: float) -> Verification:
        """Sit until the question is answered or the seconds are used up."""
        begin, objective = self.clock(), self.best.objective[0]
        wanted = PairedComparison(
            "verify", self.root, self.best.workload, self.configs, self.rules, self.confirm, objective
        )
        runs = comparison.run(wanted, executor, self._unanswered, seconds, seconds, self._fits, self.clock)
        found = self._concluded(runs)
        return msgspec.structs.replace(found, seconds=self.clock() - begin)

    def served(self, executor: Executor) -> Verification:
        """Whether nearly the claimed rate of requests is served as a claim asks; nothing is compared then."""
        claimed, wanted = self.best.measured.served_rate, self.best.workload.serving
        if claimed is None or wanted is None:
            return self.found("unresolved", ["the file has no rate of requests that was served"])
        rate = claimed * verdict.LEAST_SERVED
        spec = TrialSpec(id=0, workload=self.best.workload, config=self.best.config, folder="served")
        served = executor.sustain(spec, self.rules, rate, claim_seconds(rate, wanted))
        if served.probe is None:
            found = self.found("fails", [f"the {WINNER} failed: {served.error}"])
            return msgspec.structs.replace(found, logs=str(self.root))
        values = metrics.values(Measured(served))
        # A load test shows the answers and the start; other metrics were confirmed where they are an objective.
        shown = [
            limit
            for limit in self.best.constraints
            if limit.metric in values or METRICS[limit.metric].needs in ("outputs", "data")
        ]
        judged = constraints.check(shown, values)
        reasons = [] if served.probe.kept else ["the latency was not kept"]
        reasons += [one.description for one in judged if not one.satisfied]
        found = self.found("fails" if reasons else "holds", reasons)
        return msgspec.structs.replace(found, served=served.probe, seconds=served.probe.seconds)

    def found(self, said: verdict.Verdict, reasons: Sequence[str], ratio: Estimate | None = None) -> Verification:
        """What is known before anything is measured, with a verdict."""
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
    def _limits(self) -> Limits:
        """What the winner must keep, by the price that the file's cost was found with."""
        cost, rate = self.best.measured.cost_per_million, self.best.measured.throughput.estimate
        price = None if cost is None else Price(per_hour=cost * rate * 3600 / 1e6)
        goal = Goal(objectives=self.best.objective, limits=self.best.constraints, price=price)
        return Limits(self.root, goal, self.confirm.confidence)

    @property
    def _fits(self) -> bool:
        """Whether both fit into memory at once, the baseline taken to be no larger."""
        known = self.best.measured.peak_rss_bytes
        return known is None or 2 * known <= self.rules.memory_fraction * self.hw.usable_memory_bytes

    def _unanswered(self, runs: Sequence[InterleavedRun]) -> set[str]:
        """Both, until a claim's runs are made and the question is answered; none once one of them keeps failing."""
        if any(comparison.failure(runs, name) for name in self.configs):
            return set()
        enough = comparison.complete(runs, list(self.configs)) >= self.confirm.runs
        return set() if enough and self._judged(runs)[0] != "unresolved" else set(self.configs)

    def _judged(self, runs: Sequence[InterleavedRun]) -> tuple[verdict.Verdict, str | None]:
        return verdict.judged(self._ratio(runs), self.best.measured.speedup, self.confirm.delta)

    def _ratio(self, runs: Sequence[InterleavedRun]) -> Estimate | None:
        rates = comparison.table(runs, [WINNER, BASELINE], self.confirm.confidence, self.best.objective[0])
        return rates.ratio(WINNER, BASELINE)

    def _concluded(self, runs: Sequence[InterleavedRun]) -> Verification:
        said, why = self._judged(runs)
        reasons = [] if why is None else [why]
        logs = None
        for name in (BASELINE, WINNER):
            if error := _failure(runs, name):
                said, reasons = _without(name), [f"the {name} failed: {error}"]
                logs = str(self.root)
        if (broken := self._limits.broken(runs, WINNER)) is not None:
            said, reasons = "fails", [broken.description, *(reasons if said == "fails" else [])]
        confidence = self.confirm.confidence
        winner, baseline = (pooled(self.root, runs, name, confidence) for name in (WINNER, BASELINE))
        rates = comparison.table(runs, [WINNER, BASELINE], confidence)
        count, rounds = rates.counts(WINNER, BASELINE)
        return msgspec.structs.replace(
            self.found(said, reasons, self._ratio(runs)),
            throughput=winner and winner.rate,
            baseline_throughput=baseline and baseline.rate,
            runs=count,
            rounds=rounds,
            logs=logs,
        )


def _failure(runs: Sequence[InterleavedRun], name: str) -> str | None:
    """Why a configuration was given up, or never ran in the time that there was; None if it ran."""
    if comparison.complete(runs, [name]):
        return comparison.failure(runs, name)
    errors = [run.candidates[name].error for run in runs if name in run.candidates]
    return next(filter(None, reversed(errors)), None)
