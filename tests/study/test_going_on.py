"""A study under any order of searching, confirming, interruptions and kills, with made-up measurements."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import msgspec
import optuna
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autotune.core.results import Status, TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget, Domains
from autotune.core.specs import TrialSpec
from autotune.report.export import best_of_study
from autotune.study.confirm.stage import confirm
from autotune.study.search import ask_tell, samplers
from autotune.study.search.driver import search
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor
from tests.study.fakes import Watcher, in_memory, machine, resolved

HW = machine()
DOMAINS = Domains(
    batch_size=(1, 8, 16), knobs={"allocator": ("system", "tcmalloc")}, backends={"torch_eager": {}, "onnxruntime": {}}
)
MOST = 12
RULES, CONFIRM = MeasureRules(), ConfirmRules()
RANDOM = partial(samplers.make, "random")


class Vanished(BaseException):
    """The coordinator is no more: nothing of it runs from here on."""


class GoingOn(RuleBasedStateMachine):
    """Each rule is a command of its own, which opens the folder that the commands before it left."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.space = resolved(HW, DOMAINS, trials=2)
        self.optuna = in_memory(self.folder, self.space, HW).optuna
        self.executor = FakeExecutor(self.folder)
        self.finished: dict[int, TrialResult] = {}
        self.claimed = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # -------------------------------------------------------------------------------------------------- commands

    @initialize()
    def begin(self) -> None:
        self.extend(more=1)

    @precondition(lambda self: self.trials < MOST)
    @rule(more=st.integers(1, 4))
    def extend(self, more: int) -> None:
        self.raise_budget(more)
        self.command()
        assert len(self.settled()) == self.trials

    @rule()
    def repeat(self) -> None:
        self.command()
        assert len(self.settled()) == self.trials

    @precondition(lambda self: self.trials < MOST)
    @rule(more=st.integers(1, 4), at=st.integers(0, 3), begun=st.booleans())
    def interrupt_a_trial(self, more: int, at: int, begun: bool) -> None:
        """Ctrl-C in one of the next trials, before or after its spec was written."""
        self.raise_budget(more)
        last = len(self.executor.trials) + at

        def before(spec: object, rules: MeasureRules) -> None:
            if isinstance(spec, TrialSpec) and len(self.executor.trials) == last:
                if begun:
                    (self.folder / spec.folder).mkdir(parents=True)
                    (self.folder / spec.folder / "spec.json").write_bytes(store.encode(spec))
                raise KeyboardInterrupt

        self.command(before=before)

    @precondition(lambda self: self.trials < MOST)
    @rule(more=st.integers(1, 4), at=st.integers(0, 3))
    def kill_between_result_and_database(self, more: int, at: int) -> None:
        self.raise_budget(more)
        told = iter(range(at))

        def tell(*given: object) -> None:
            if next(told, None) is None:
                raise Vanished
            original(*given)

        original: Callable[..., None] = ask_tell.tell
        with mock.patch.object(ask_tell, "tell", tell):
            self.command()

    @rule()
    def confirm(self) -> None:
        self.command(confirm=True)
        confirmation = store.confirmation(self.folder)
        if confirmation is not None:
            assert confirmation.confirmed and confirmation.finished
            self.claimed = True

    @rule(at=st.integers(0, 12))
    def interrupt_the_confirmation(self, at: int) -> None:
        last = len(self.executor.runs) + at

        def before(spec: object, rules: MeasureRules) -> None:
            if not isinstance(spec, TrialSpec) and len(self.executor.runs) == last:
                raise KeyboardInterrupt

        self.command(confirm=True, before=before)

    @rule()
    def lose_the_database(self) -> None:
        self.optuna = optuna.create_study(direction="maximize")

    # ------------------------------------------------------------------------------------------------ invariants

    @invariant()
    def no_finished_trial_is_lost_or_changed(self) -> None:
        results = {result.spec.id: result for result in self.settled()}
        assert self.finished.items() <= results.items()
        self.finished = results

    @invariant()
    def no_configuration_is_measured_twice(self) -> None:
        counts = Counter(spec.config.key for spec in self.executor.trials)
        assert max(counts.values(), default=0) <= 1

    @invariant()
    def best_json_says_what_the_confirmation_does(self) -> None:
        confirmation = store.confirmation(self.folder)
        best = best_of_study.best(self.folder, self.space, HW, store.results(self.folder), confirmation)
        if confirmation is not None and confirmation.winner is not None:
            assert best is not None and best.config == confirmation.winner.config
            assert best.confirmed == confirmation.confirmed
        elif best is not None:
            assert not best.confirmed

    @invariant()
    def a_claim_survives(self) -> None:
        confirmation = store.confirmation(self.folder)
        confirmed = confirmation is not None and confirmation.confirmed
        assert confirmed or not self.claimed
        self.claimed = confirmed

    # ---------------------------------------------------------------------------------------------------- helpers

    @property
    def trials(self) -> int:
        """The budget."""
        return self.space.budget.trials or 0

    def raise_budget(self, more: int) -> None:
        budget = Budget(trials=min(self.trials + more, MOST))
        self.space = msgspec.structs.replace(self.space, budget=budget)

    def settled(self) -> list[TrialResult]:
        return [result for result in store.results(self.folder) if result.status is not Status.INTERRUPTED]

    def command(
        self,
        confirm: bool = False,
        before: Callable[[object, MeasureRules], None] = lambda spec, rules: None,
    ) -> None:
        """A command that searches, or searches and confirms; it ends early where `before` interrupts it."""
        study = OpenStudy(folder=self.folder, space=self.space, hardware=HW, optuna=self.optuna)
        self.executor.before = before
        with contextlib.suppress(KeyboardInterrupt, Vanished):
            run(study, self.executor, confirming=confirm)


def run(study: OpenStudy, executor: FakeExecutor, confirming: bool) -> None:
    """The work of one command; the sampler never says that nothing more is to be gained."""
    search(study, executor, Watcher(), RULES, make_sampler=RANDOM, clock=executor.clock)
    if confirming:
        confirm(study, executor, Watcher(), RULES, CONFIRM, clock=executor.clock)


TestGoingOn = GoingOn.TestCase
TestGoingOn.settings = settings(
    max_examples=8, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
