"""The runner of a confirmation's comparisons: within the time left, planned by the runs that were made before."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

from autotune.core.config import Config
from autotune.core.executor import HookedExecutor
from autotune.core.results import InterleavedRun
from autotune.study.confirm import aggregate, cost, paired_comparison, sample_size
from autotune.study.confirm.aggregate import Aggregate
from autotune.study.confirm.constraints import Constraints
from autotune.study.confirm.context import Context
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.schedule import Keep

FINALISTS = "finalists"
"""The comparison that a claim rests on; its runs count whichever configurations are among the finalists later."""

SHARE = 0.75
"""The part of the time left that a measurement may use where others follow."""


@dataclass
class Runner:
    """Runs comparisons; `extra_runs` are those of one candidate alone, which a limit on a percentile needed.

    `all_runs` holds those of all comparisons so far by their folder.
    """

    context: Context
    extra_runs: tuple[InterleavedRun, ...] = ()
    last_runs: Sequence[InterleavedRun] = ()
    all_runs: dict[str, InterleavedRun] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)

    @property
    def constraints(self) -> Constraints:
        """The limits of the study's goal, to be checked with the extra runs."""
        study = self.context.study
        return Constraints(study.folder, study.space.goal, self.context.confirm.confidence, self.extra_runs)

    def compare(
        self,
        name: str,
        headline: str,
        configs: dict[str, Config],
        keep: Keep,
        seconds: float,
        limit_s: float | None = None,
    ) -> list[InterleavedRun]:
        """The runs of a comparison within so many seconds.

        For those that a claim needs it may go on to the limit, by default all the time left. The observer is told the
        headline once the first run begins.
        """
        context = self.context
        announce = functools.cache(lambda: context.observer.confirming(headline, seconds, name == FINALISTS))
        paired = self._paired(name, configs, context.study.space.goal.objectives[0])
        if (line := paired.left_out()) and line not in self.said:
            self.said.add(line)
            context.observer.notice(line)
        runs = paired_comparison.compare(
            paired,
            HookedExecutor(context.executor, before=announce),
            keep,
            seconds,
            context.left() if limit_s is None else limit_s,
            cost.fit_together(configs.values(), context.ranking, context.study.hardware, context.rules),
            context.left.clock,
            self.last_runs,
        )
        self.last_runs = runs or self.last_runs
        self.all_runs |= {run.spec.folder: run for run in runs}
        return runs

    def measure_more_calls(self, name: str, config: Config, runs: Sequence[InterleavedRun]) -> bool:
        """Measure a candidate alone for the calls that a limited percentile needs; false if there are no new ones."""
        context = self.context
        paired = self._paired(f"alone-{name}", {name: config})
        earlier = [run for run in paired.runs() if run not in self.extra_runs]
        self.extra_runs += tuple(earlier)
        merged = self.merged(name, runs)
        goal, seconds = context.study.space.goal, context.left() * SHARE
        rounds = None if merged is None else sample_size.blocks_needed(goal, merged, seconds)
        if rounds is None:
            return bool(earlier)
        context.observer.confirming(f"measuring the latency of {name} by more calls", seconds)
        run = paired_comparison.another(paired, context.executor, paired.runs(), [name], rounds, context.left())
        self.extra_runs += () if run is None else (run,)
        # One that fails alone brings no calls, however often it is tried.
        return run is not None and bool(run.candidates[name].blocks)

    def merged(self, name: str, runs: Sequence[InterleavedRun]) -> Aggregate | None:
        """A candidate over these runs and the extra ones; None if it has no block in any."""
        context = self.context
        return aggregate.merge(context.study.folder, [*runs, *self.extra_runs], name, context.confirm.confidence)

    def _paired(self, name: str, configs: dict[str, Config], objective: str = "throughput") -> PairedComparison:
        context, study = self.context, self.context.study
        return PairedComparison(
            name=name,
            root=study.folder,
            hardware=study.hardware,
            workload=study.space.workload,
            configs=configs,
            rules=context.rules,
            confirm=context.confirm,
            objective=objective,
            joined=name == FINALISTS,
        )
