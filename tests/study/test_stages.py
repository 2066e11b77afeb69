from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Confirmation, Winner
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Space
from autotune.study import stages
from autotune.study.search import driver
from autotune.study.search.outcome import Outcome
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor
from tests.study.fakes import SMALL, Watcher, in_memory, machine, resolved

HW = machine()
RULES, CONFIRM = MeasureRules(), ConfirmRules()


class Claims(Watcher):
    """Keeps the first claims and what had been measured by then."""

    def __init__(self, executor: FakeExecutor) -> None:
        super().__init__()
        self.executor = executor
        self.claims: list[tuple[Winner, int, int, Confirmation | None]] = []

    def claimed(self, winner: Winner) -> None:
        known = store.confirmation(self.executor.root)
        self.claims.append((winner, len(self.executor.trials), len(self.executor.runs), known))


def run(executor: FakeExecutor, space: Space) -> tuple[Claims, list[Outcome], Confirmation | None]:
    watcher, ended = Claims(executor), list[Outcome]()
    study = in_memory(executor.root, space, HW)
    _, found = stages.run(
        study,
        executor,
        watcher,
        RULES,
        CONFIRM,
        claimed=watcher.claimed,
        searched=ended.append,
        clock=executor.clock,
    )
    return watcher, ended, found


def test_a_claim_is_made_before_the_search_ends_and_its_runs_count_in_the_last_one(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)
    watcher, (ended,), found = run(executor, resolved(HW, minutes=600))
    ((winner, trials, runs, known),) = watcher.claims
    assert known is not None and known.confirmed and not known.finished and known.winner == winner
    assert runs == CONFIRM.runs and trials < len(executor.trials) == ended.trials
    assert ended.reason == "settled"
    assert found is not None and found.finished and found.winner is not None
    finalists = [spec for spec in executor.runs if "/finalists-" in spec.folder]
    assert len({spec.folder.split("/")[1] for spec in finalists}) == 1
    assert [spec.number for spec in finalists] == list(range(1, len(finalists) + 1))
    assert found == store.confirmation(tmp_path)


def test_a_study_with_a_claim_is_not_paused_again(tmp_path: Path) -> None:
    run(FakeExecutor(tmp_path), resolved(HW, minutes=600))
    again = FakeExecutor(tmp_path)
    watcher, (ended,), found = run(again, resolved(HW, minutes=600))
    assert watcher.claims == [] and ended.reason == "settled"
    assert found is not None and found.finished and not again.runs


def test_a_study_that_is_interrupted_after_its_first_claim_keeps_it_and_goes_on(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)

    def stop(spec: object, rules: MeasureRules) -> None:
        known = store.confirmation(tmp_path)
        if known is not None and known.confirmed and known.finished is False and len(executor.runs) >= CONFIRM.runs:
            raise KeyboardInterrupt

    executor.before = stop
    with pytest.raises(KeyboardInterrupt):
        run(executor, resolved(HW, minutes=600))
    kept = store.confirmation(tmp_path)
    assert kept is not None and kept.gain and not kept.finished
    watcher, _, found = run(FakeExecutor(tmp_path), resolved(HW, minutes=600))
    assert watcher.claims == [] and found is not None and found.finished


@pytest.mark.parametrize(
    "space",
    [lambda: resolved(HW, SMALL, trials=3), lambda: resolved(HW, SMALL, minutes=0.2)],
    ids=["trials", "minutes"],
)
def test_a_search_that_ends_before_has_no_first_claim(tmp_path: Path, space: Callable[[], Space]) -> None:
    watcher, (ended,), _ = run(FakeExecutor(tmp_path), space())
    assert watcher.claims == [] and ended.reason in ("trials", "minutes", "exhausted")


def test_without_a_gain_nothing_is_claimed_early(tmp_path: Path) -> None:
    """Everything is as fast as the baseline: the first comparison finds none, the last one says so."""
    executor = FakeExecutor(tmp_path, behave=lambda config: 10.0, candidate=lambda name, spec: 10.0)
    watcher, _, found = run(executor, resolved(HW, minutes=600))
    assert watcher.claims == []
    assert found is not None and (found.confirmed, found.gain, found.finished) == (True, False, True)


def test_a_study_of_a_rate_of_requests_is_not_paused(tmp_path: Path) -> None:
    """Its claim takes minutes of requests."""
    space = msgspec.structs.replace(resolved(HW, minutes=600), objective="served_rate")
    gains: list[float | None] = []

    def search(*args: object, pause_gain: float | None, **fields: object) -> Outcome:
        gains.append(pause_gain)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(driver, "search", search)
        run(FakeExecutor(tmp_path), space)
    assert gains == [None]
