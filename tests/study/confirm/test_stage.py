from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation
from autotune.core.errors import StudyError
from autotune.core.results import InterleavedRun, Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Limit
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.study.confirm.interleaved_confirmation import InterleavedConfirmation
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.stage import confirm
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor, measured, speed
from tests.study.confirm.confirming import (
    CONFIRM,
    FIRST,
    PLAIN,
    RULES,
    SECOND,
    THIRD,
    by_trial,
    confirmed,
    covers,
)
from tests.study.fakes import WORKLOAD, Watcher, searched


@pytest.mark.parametrize(
    ("rates", "fields"),
    [
        ({}, {}),
        ({PLAIN: 10.2}, {}),
        ({FIRST: 30.0}, {}),
        ({PLAIN: 10.2, FIRST: 30.0}, {"status": {FIRST: Status.REJECTED}}),
        ({PLAIN: 10.2, FIRST: 30.0}, {"status": {PLAIN: Status.CRASHED}}),
    ],
)
def test_without_a_baseline_and_another_there_is_nothing_to_confirm(
    tmp_path: Path, rates: dict[Config, float], fields: dict[str, dict[Config, Any]]
) -> None:
    executor = FakeExecutor(tmp_path)
    assert confirmed(searched(tmp_path, rates, **fields), executor) is None
    assert executor.runs == []
    assert store.confirmation(tmp_path) is None


@pytest.mark.parametrize(("elapsed_s", "seconds", "most_s"), [(100, 200, 500), (450, 150, 150)])
def test_the_confirmation_takes_its_share_of_the_minutes_and_for_a_claim_all_that_is_left(
    tmp_path: Path, elapsed_s: float, seconds: float, most_s: float
) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, 10)
    store.write_elapsed(tmp_path, elapsed_s)
    executor = FakeExecutor(tmp_path)
    confirmed(study, executor)
    assert executor.runs[0].limit_s == pytest.approx(most_s)
    assert store.elapsed_s(tmp_path) <= elapsed_s + seconds + 10


# --------------------------------------------------------------------------------------------------------- interruption


def numbers(specs: Sequence[InterleavedSpec]) -> list[tuple[str, int]]:
    return [(spec.folder, spec.rounds) for spec in specs]


@pytest.mark.parametrize("interrupt_at", [1, 2, 4, 8, 11])
def test_an_interrupted_confirmation_goes_on_to_the_same_result(tmp_path: Path, interrupt_at: int) -> None:
    search = {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    straight = FakeExecutor(whole)
    expected = confirmed(searched(whole, search, 600), straight)
    assert expected is not None and len(straight.runs) >= 11
    study = searched(cut, search, 600)
    first = FakeExecutor(cut, interrupt_run=interrupt_at)
    with pytest.raises(KeyboardInterrupt):
        confirmed(study, first)
    kept = store.confirmation(cut)
    assert (kept is None) == (interrupt_at == 1)
    if kept is not None:
        assert kept.winner is not None and kept.winner.config == FIRST and not kept.finished
        assert kept.confirmed == kept.gain == (interrupt_at > CONFIRM.runs)
        assert not kept.confirmed or by_trial(kept)[1].ratio == by_trial(expected)[1].ratio
    assert store.elapsed_s(cut) == first.clock.now - 1000
    second = FakeExecutor(cut)
    found = confirmed(study, second)
    assert numbers(first.runs[:-1] + second.runs) == numbers(straight.runs)
    assert found is not None
    assert msgspec.structs.replace(found, seconds=0) == msgspec.structs.replace(expected, seconds=0)
    third = FakeExecutor(cut)
    again = confirmed(study, third)
    assert third.runs == [] and again is not None
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(expected, seconds=0)


def test_another_search_confirms_anew(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, THIRD: 20.0}, 600)
    assert confirmed(study, FakeExecutor(tmp_path)) is not None
    spec = TrialSpec(id=2, workload=WORKLOAD, config=FIRST, folder=store.trial_folder(2))
    (tmp_path / spec.folder).mkdir()
    store.write_result(tmp_path, measured(spec, 30.0))
    store.reopen_confirmation(tmp_path)  # as the search does after a better trial
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and found.winner is not None and found.winner.config == FIRST
    assert store.confirmation(tmp_path) == found


def challenged(folder: Path) -> tuple[OpenStudy, Confirmation]:
    """A study in which THIRD was confirmed, the claim that it has, and a better trial since."""
    study = searched(folder, {PLAIN: 10.2, THIRD: 20.0}, 600)
    assert confirmed(study, FakeExecutor(folder)) is not None
    spec = TrialSpec(id=2, workload=WORKLOAD, config=FIRST, folder=store.trial_folder(2))
    (folder / spec.folder).mkdir()
    store.write_result(folder, measured(spec, 30.0))
    store.reopen_confirmation(folder)
    claim = store.confirmation(folder)
    assert claim is not None and claim.gain and claim.winner is not None and claim.winner.config == THIRD
    return study, claim


def test_without_time_to_confirm_a_better_trial_the_earlier_claim_stands(tmp_path: Path) -> None:
    study, claim = challenged(tmp_path)
    store.write_elapsed(tmp_path, 36000)
    watcher = Watcher()
    found = confirmed(study, FakeExecutor(tmp_path), watcher=watcher)
    assert found is not None and found.winner is not None and claim.winner is not None and not found.finished
    assert (found.winner.config, found.winner.runs) == (claim.winner.config, claim.winner.runs)
    assert watcher.notices == ["there was no time to compare trial 2 with the winner"]
    shutil.rmtree(tmp_path / "confirmation")  # of a former version, which kept its runs elsewhere
    store.write_confirmation(tmp_path, claim)
    assert confirmed(study, FakeExecutor(tmp_path), watcher=watcher) == claim == store.confirmation(tmp_path)
    assert watcher.notices[-1].startswith("the earlier claim stands: the time was enough for 0")
    store.write_elapsed(tmp_path, 0)
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and found.finished and found.winner is not None and found.winner.config == FIRST


def test_a_claim_that_stands_is_on_disk_whatever_was_kept_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, claim = challenged(tmp_path)
    nothing = Confirmation(confirmed=False, gain=False, winner=None, noise_floor=None, finalists=(), reason="no time")

    def run(self: object) -> Confirmation:
        store.write_confirmation(tmp_path, nothing)
        return nothing

    monkeypatch.setattr(InterleavedConfirmation, "run", run)
    assert confirmed(study, FakeExecutor(tmp_path)) == claim == store.confirmation(tmp_path)


def test_a_claim_whose_winner_fails_now_does_not_stand(tmp_path: Path) -> None:
    """The better trial cannot be confirmed either: the time ends."""
    study, _ = challenged(tmp_path)
    store.write_elapsed(tmp_path, 36000 - 30)
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if spec.configs[name] == THIRD else None)
    found = confirmed(study, executor)
    assert found is not None and not found.confirmed and found == store.confirmation(tmp_path)


def test_a_claim_does_not_stand_where_the_baseline_fails_now(tmp_path: Path) -> None:
    """It runs no more: the better trial's one run with it says so."""
    study, claim = challenged(tmp_path)
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if spec.configs[name] == PLAIN else None)
    found = confirmed(study, executor)
    assert found is not None and not found.confirmed and found == store.confirmation(tmp_path) != claim
    assert found.reason is not None and found.reason.startswith("baseline failed while it was confirmed")


def test_no_gain_stands_only_until_there_is_a_better_trial(tmp_path: Path) -> None:
    study, claim = challenged(tmp_path)
    store.write_confirmation(tmp_path, msgspec.structs.replace(claim, gain=False))
    shutil.rmtree(tmp_path / "confirmation")
    store.write_elapsed(tmp_path, 36000)
    found = confirmed(study, FakeExecutor(tmp_path))
    assert found is not None and not found.confirmed and found == store.confirmation(tmp_path)


def test_a_damaged_confirmation_is_named(tmp_path: Path) -> None:
    (tmp_path / "confirmation.json").write_text("{")
    with pytest.raises(StudyError, match=r"confirmation\.json is damaged.*delete it, and run the study again"):
        store.confirmation(tmp_path)
    store.write_confirmation(tmp_path, None)
    assert store.confirmation(tmp_path) is None


def test_the_observer_hears_of_each_part(tmp_path: Path) -> None:
    study, watcher, executor = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}), Watcher(), FakeExecutor(tmp_path)
    confirm(study, executor, watcher, RULES, CONFIRM, clock=executor.clock)
    assert watcher.parts == [
        "confirming 2 configurations against each other",
        "measuring what each setting of the winner is worth",
        "measuring the way from the baseline to the winner in 3 steps",
    ]


def test_a_trials_result_is_unchanged(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0})
    before: list[TrialResult] = store.results(tmp_path)
    confirmed(study, FakeExecutor(tmp_path))
    assert store.results(tmp_path) == before


# ------------------------------------------------------------------------------------------ while it is being confirmed


def on_disk(executor: FakeExecutor) -> list[Confirmation | None]:
    """The confirmations that were on disk before each interleaved run of the executor, filled as it runs."""
    found: list[Confirmation | None] = []
    executor.before = lambda spec, rules: found.append(store.confirmation(executor.root))
    return found


def test_the_runs_so_far_are_on_disk_after_each(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)
    seen = on_disk(executor)
    confirmed(searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}), executor)
    assert seen[0] is None
    for runs, found in enumerate(seen[1:4], start=1):
        assert found is not None and found.winner is not None and not found.finished
        assert (found.winner.config, found.winner.runs) == (FIRST, runs)
        assert covers(found.winner.ratio, speed(FIRST) / speed(PLAIN))
        assert found.confirmed == found.gain == (runs == CONFIRM.runs)
        assert found.confirmed or str(found.reason).startswith(f"the time was enough for {runs} of the ")


def test_a_winner_that_breaks_its_limit_in_the_last_run_has_no_claim_left(tmp_path: Path) -> None:
    """It is claimed, and goes on with its rival without the baseline: in that run it needs too much memory."""
    small = Limit(metric="peak_rss_bytes", max=2**29)
    rates = {PLAIN: 10.0, FIRST: 21.6, SECOND: 21.15}

    def behave(name: str, spec: InterleavedSpec) -> float:
        swing = (1.1 if spec.number % 2 else 1 / 1.1) if name == "trial-2" else 1.0
        return rates.get(spec.configs[name], 10.0) * swing

    executor = Growing(tmp_path, candidate=behave)
    seen = on_disk(executor)
    found = confirmed(searched(tmp_path, {PLAIN: 10.0, FIRST: 30.0, SECOND: 20.0}, constraints=(small,)), executor)
    claims = [one.winner.config for one in seen if one is not None and one.gain and one.winner is not None]
    assert claims[0] == FIRST and claims[-1] == SECOND
    assert found is not None and found.winner is not None and found.winner.config == SECOND and found.gain
    assert by_trial(found)[1].broken is not None


class Growing(FakeExecutor):
    """FIRST needs 1 GiB in the runs of the finalists without the baseline."""

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun | None:
        run = super().interleave(spec, rules)
        if run is None or BASELINE in spec.configs or "/finalists-" not in spec.folder:
            return run
        grown = {
            name: msgspec.structs.replace(one, peak_rss_bytes=2**30) if one.config == FIRST else one
            for name, one in run.candidates.items()
        }
        return msgspec.structs.replace(run, candidates=grown)
