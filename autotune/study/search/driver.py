"""The search: ask the sampler, run the trial, tell the result, until nothing is to be gained or the budget is spent."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import optuna

from autotune.analysis import constraints
from autotune.core.config import Config
from autotune.core.errors import AutotuneError, StudyError
from autotune.core.executor import Executor
from autotune.core.observer import Observer
from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Budget
from autotune.core.specs import TrialSpec
from autotune.space import configs
from autotune.study.model import suggest
from autotune.study.model.points import DomainPoints, Points
from autotune.study.ranking import Ranking
from autotune.study.search import (
    ask_tell,
    baseline_again,
    convergence,
    earlier_claim,
    known_wrong,
    recipes,
    recovery,
    samplers,
    unexplored,
)
from autotune.study.search.outcome import Outcome, Reason, completed, cut_short, description, judged, outcome
from autotune.study.storage import disk_errors, store
from autotune.study.storage.opening import OpenStudy
from autotune.study.storage.stopwatch import stopwatch

REPEATS = 5
"""So many proposals in a row that were seen before or cannot run, and another configuration is drawn instead."""

SHORTEST_TRIAL_S = 5.0
HOPELESS = 10
"""So many trials, not counting the baseline, that all failed end the search: the fault is not in the settings."""

MARGIN = 1.25
"""So many times as long as the last time may a baseline that is measured again take."""

STALE = 50
"""So many trials in a row that found nothing better end a search without a budget: not every sampler says its gain."""


def search(
    study: OpenStudy,
    executor: Executor,
    observer: Observer,
    rules: MeasureRules,
    *,
    earlier: Sequence[Config] = (),
    reserve: Callable[[Ranking], float] = lambda ranking: 0.0,
    pause_gain: float | None = None,
    make_sampler: Callable[[int, Points], optuna.samplers.BaseSampler] = samplers.surrogate,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Search until nothing more is to be gained or the budget is used up, going on from what the study already holds.

    `earlier` are configurations to try before the recipes (`transfer`). `reserve` gives the seconds of the budget that
    are kept for the confirmation, after each trial anew. With `pause_gain` it ends as paused once the sampler expects
    less, as a difference of logarithms, though it may still go on. `observer.started` and `ended` are called here;
    `preparing` and `measured` are the executor's business. What an earlier confirmation claims stands until a later one
    has ended.

    StudyError if the baseline fails, if everything else does, or if the storage or disk cannot be used. Whatever ends
    a trial early, Ctrl-C above all, comes through after the trial was put in order for the next run.
    """
    with disk_errors.reported(study.folder):
        results = recovery.recover(study)
        begun = len(study.optuna.get_trials(deepcopy=False))
        # Another seed for each run: a study that goes on must not draw again what it drew before.
        rng = random.Random(f"{study.space.workload.seed}/{begun}")
        points = DomainPoints(study.space.domains, study.hardware)
        study.optuna.sampler = make_sampler(rng.getrandbits(32), points)
        with stopwatch(study, clock) as elapsed:
            searching = _Search(study, executor, observer, rules, rng, elapsed, results, earlier, reserve, pause_gain)
            reason = searching.run()
            earlier_claim.reopen_if_challenged(study, searching.known)
            return outcome(reason, searching.results, study.space.baseline, elapsed())


@dataclass
class _Search:
    study: OpenStudy
    executor: Executor
    observer: Observer
    rules: MeasureRules
    rng: random.Random
    elapsed: Callable[[], float]
    results: list[TrialResult]
    earlier: Sequence[Config] = ()
    reserve: Callable[[Ranking], float] = lambda ranking: 0.0
    pause_gain: float | None = None
    unsupported: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    again_s: float = field(default=0.0, init=False)
    """The seconds that are kept for a baseline that is to be measured again."""

    def __post_init__(self) -> None:
        self._learn()

    def run(self) -> Reason:
        if (reason := self._searched()) == "paused":
            return reason
        wanted_s, self.again_s = self.again_s, 0.0
        if self._doubtful() and self._left_s() >= max(wanted_s / MARGIN, SHORTEST_TRIAL_S):
            self.observer.notice("the baseline was disturbed, or too short to tell: it is measured again")
            self._measure(*self._asked(self.study.space.baseline))
        return reason

    def _learn(self) -> None:
        """See all trials anew, and what they say of the time that is to be kept."""
        self.known = Ranking(self.results, self.study.space.goal)
        self.reserved_s = self.reserve(self.known)
        base = self.known.baseline(self.study.space.baseline)
        self.again_s = MARGIN * base.wall_s if base is not None and self._doubtful() else 0.0
        if base is not None and len(self.known.distinct) == 1 and self._left_s() < MARGIN * base.wall_s:
            self.reserved_s = self.again_s = 0.0  # with the baseline alone there is nothing to confirm

    def _doubtful(self) -> bool:
        return baseline_again.wanted(self.results, self.known, self.study.space.baseline, self.study.hardware)

    def _searched(self) -> Reason:
        plan = self._plan()
        while True:
            done = completed(self.results, self.study.space.baseline)
            if reason := self._used_up(len(done)):
                return reason
            known = done | self.unsupported
            planned = next((config for config in plan if config.key not in known), None)
            if planned is None and self.repeats >= REPEATS:
                planned = self._untried(known)
                if planned is None:
                    return "exhausted"
            if planned is None and self.pause_gain is not None and self._converged(self.pause_gain):
                return "paused"
            trial, config = self._asked(planned)
            if planned is None and self._converged():
                ask_tell.tell_unneeded(self.study.optuna, trial, "too little is expected of it")
                unseen = self._unseen(known)
                if unseen is None:
                    return "settled"
                plan.append(unseen)
                continue
            plan = [one for one in plan if one is not planned]  # asked for once, whatever became of it
            self.repeats += 1
            if config.key in known:
                ask_tell.tell_repeat(self.study.optuna, trial, known[config.key])
                continue
            if why := configs.unavailable(config, self.study.hardware):
                self._skip(trial, config, why)
                continue
            if why := self._known_wrong(config):
                ask_tell.tell_unneeded(self.study.optuna, trial, why)
                continue
            self.repeats = 0
            result = self._measure(trial, config)
            if result.status is Status.INTERRUPTED:
                return "minutes"
            self._check(result)

    def _known_wrong(self, config: Config) -> str | None:
        """The reason why answers need not be looked at again; None for the baseline, which all is compared with."""
        baseline = config == self.study.space.baseline
        return None if baseline else known_wrong.reason(config, self.results, self.study.space.constraints)

    def _plan(self) -> list[Config]:
        """The trials before the sampler's: the baseline, which all is compared with, those cut short, then advice."""
        interrupted = [result.spec.config for result in self.results if result.status is Status.INTERRUPTED]
        baseline, *advised = recipes.first(self.study.space, self.study.hardware)
        domains, hw = self.study.space.domains, self.study.hardware
        earlier = [config for config in self.earlier if suggest.parameters(config, domains, hw) is not None]
        return [baseline, *interrupted, *earlier, *advised]

    def _used_up(self, done: int) -> Reason | None:
        trials = self.study.space.budget.trials
        if trials is not None and done >= trials:
            return "trials"
        if self._unlimited and self._since_best() >= STALE:
            return "stale"
        return "minutes" if self._left_s() < SHORTEST_TRIAL_S else None

    @property
    def _unlimited(self) -> bool:
        return self.study.space.budget == Budget()

    def _since_best(self) -> int:
        """The number of trials that ended after the best one; all while there is none."""
        best = self.known.best
        after = self.results if best is None else self.results[self.results.index(best) + 1 :]
        return sum(not cut_short(result) for result in after)

    def _asked(self, planned: Config | None) -> tuple[optuna.Trial, Config]:
        return ask_tell.ask(self.study.optuna, self.study.space.domains, self.study.hardware, planned)

    def _converged(self, least: float = convergence.SETTLED_GAIN) -> bool:
        """True if the search may end: its sampler expects less, by default nothing that could be claimed."""
        return convergence.converged(ask_tell.gains(self.study.optuna), least)

    def _left_s(self) -> float:
        minutes = self.study.space.budget.minutes
        return math.inf if minutes is None else minutes * 60 - self.elapsed() - self.reserved_s - self.again_s

    def _unseen(self, known: dict[str, int]) -> Config | None:
        """A configuration with a backend or a precision that no trial had, else like the best one."""
        space, best = self.study.space, self.known.best
        tried = [result.spec.config for result in self.results if not cut_short(result)]
        like = space.baseline if best is None else best.spec.config
        able = [result.spec.config for result in self.results if result.status.measured and result.feasible]
        return unexplored.first(space, self.study.hardware, tried, able, known, like)

    def _untried(self, known: dict[str, int]) -> Config | None:
        hw = self.study.hardware
        untried = suggest.untried(self.study.space.domains, hw, known, self.rng)
        return next((one for one in untried if not configs.unavailable(one, hw) and not self._known_wrong(one)), None)

    def _skip(self, trial: optuna.Trial, config: Config, why: str) -> None:
        """A combination that the machine cannot honour costs nothing: no trial of the budget, no folder."""
        self.unsupported[config.key] = trial.number
        ask_tell.tell_unsupported(self.study.optuna, trial, why)
        if config == self.study.space.baseline:
            raise StudyError(f"the baseline cannot run on this machine: {why}; change `baseline` in the space file")

    def _measure(self, trial: optuna.Trial, config: Config) -> TrialResult:
        """Run the trial, then tell its result, which is on disk by then."""
        spec = TrialSpec(
            id=trial.number,
            workload=self.study.space.workload,
            config=config,
            folder=store.trial_folder(trial.number),
        )
        # The baseline is never given up as slow: a study that goes on may already know faster ones.
        incumbent = None if config == self.study.space.baseline else self.known.incumbent
        self.observer.started(spec)
        try:
            result = self.executor.execute(spec, self._limited(config), incumbent)
        except Exception as error:
            # A full disk or a cache that cannot be used says nothing of the configuration; a bug would come again.
            if not isinstance(error, (AutotuneError, OSError)):
                crashed = TrialResult(spec=spec, status=Status.CRASHED, error=f"{type(error).__name__}: {error}")
                store.write_result(self.study.folder, crashed)
            recovery.recover(self.study, error=f"ended by {type(error).__name__}")
            raise
        except BaseException as error:
            recovery.recover(self.study, error=f"ended by {type(error).__name__}")
            raise
        goal = self.study.space.goal
        result = judged(self.study.folder, result, Ranking([*self.results, result], goal))
        self.results.append(result)
        self._learn()
        ask_tell.tell(self.study.optuna, trial, result, self.known)
        store.write_elapsed(self.study.folder, self.elapsed())
        self.observer.ended(result)
        return result

    def _limited(self, config: Config) -> MeasureRules:
        """The rules with what is known of the drift, what is left of the budget, and, but for the baseline, limits."""
        left_s = min(self._left_s(), self.rules.trial_timeout_s or math.inf)
        return msgspec.structs.replace(
            self.rules,
            trial_timeout_s=None if math.isinf(left_s) else left_s,
            correction=self.known.correction,
            answers=() if config == self.study.space.baseline else constraints.on_answers(self.study.space.constraints),
        )

    def _check(self, result: TrialResult) -> None:
        """StudyError where going on is pointless: nothing to compare with, or nothing that runs."""
        baseline = self.study.space.baseline
        if result.status.measured:
            return
        if result.spec.config == baseline:
            raise StudyError(
                f"the baseline failed ({description(result)}), so nothing can be compared with it; its log is "
                f"{self.study.folder / result.spec.folder / 'stderr.log'}; mend it and run the same command again"
            )
        others = [other for other in self.results if other.spec.config != baseline and not cut_short(other)]
        if len(others) >= HOPELESS and not any(other.status.measured for other in others):
            (commonest, times), *_ = Counter(map(description, others)).most_common(1)
            raise StudyError(
                f"all {len(others)} trials after the baseline failed, {times} of them so: {commonest}; "
                f"the logs are in {self.study.folder / 'trials'}"
            )
