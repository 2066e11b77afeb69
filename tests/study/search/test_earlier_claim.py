from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Finalist
from autotune.core.estimate import Estimate
from autotune.core.space_types import Limit
from autotune.core.specs import TrialSpec
from autotune.study import evidence
from autotune.study.model import posterior as posteriors
from autotune.study.ranking import Ranking
from autotune.study.search import earlier_claim
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor, at, measured
from tests.report.made import confirmation, winner
from tests.study.confirm.confirming import confirmed
from tests.study.fakes import WORKLOAD, machine, plain, searched
from tests.study.model.posteriors import independent

HW = machine()
PLAIN = plain(HW)
BEST, SECOND, THIRD, FOURTH, FIFTH = (plain(HW, size) for size in (16, 8, 4, 2, 32))
OTHER, ANOTHER = (msgspec.structs.replace(plain(HW, size), knobs=PLAIN.knobs | {"layout": "2x1"}) for size in (8, 4))
RATES = {PLAIN: 10.0, BEST: 160.0, SECOND: 110.0, THIRD: 80.0, FOURTH: 55.0, FIFTH: 38.0}


def finalist(config: Config, broken: str | None = None) -> Finalist:
    return Finalist(trial=0, config=config, ratio=Estimate(estimate=2.0, low=1.9, high=2.1), broken=broken)


def claim(*finalists: Finalist) -> Confirmation:
    return confirmation(winner(BEST), finalists=(*finalists, finalist(PLAIN)))


def study(folder: Path, confirmed: Confirmation, another: float | None = None) -> OpenStudy:
    """A confirmed study, and a trial since that measured this rate."""
    found = searched(folder, RATES | ({} if another is None else {OTHER: another}))
    store.write_confirmation(folder, confirmed)
    return found


def after(found: OpenStudy) -> Confirmation | None:
    earlier_claim.reopen_if_challenged(found, Ranking(store.results(found.folder), found.space.goal))
    return store.confirmation(found.folder)


COMPARED = claim(*map(finalist, (BEST, SECOND, THIRD, FOURTH, FIFTH)))


@pytest.mark.parametrize(("rate", "stands"), [(None, True), (5.0, True), (25.0, True), (66.0, False), (300.0, False)])
def test_a_claim_is_reopened_by_a_trial_among_the_finalists(tmp_path: Path, rate: float | None, stands: bool) -> None:
    found = study(tmp_path, COMPARED, rate)
    assert after(found) == msgspec.structs.replace(COMPARED, finished=stands)
    earlier_claim.drop_if_challenged(found)
    assert store.confirmation(tmp_path) == (COMPARED if stands else None)


def test_a_confirmation_that_claims_nothing_is_removed(tmp_path: Path) -> None:
    nothing = confirmation(None, reason="too short", finalists=COMPARED.finalists)
    assert after(study(tmp_path / "a", nothing)) == nothing
    assert after(study(tmp_path / "b", nothing, 50.0)) is None


def test_who_took_the_place_of_a_finalist_that_broke_a_limit_was_compared(tmp_path: Path) -> None:
    replaced = claim(finalist(BEST, broken="p95"), *map(finalist, (SECOND, THIRD, FOURTH, FIFTH, OTHER)))
    assert after(study(tmp_path, replaced, 25.0)) == replaced


def test_a_finalist_that_broke_a_limit_beside_the_winner_makes_no_room(tmp_path: Path) -> None:
    """No other takes its place where the rest show a gain, and the same command finds nothing more to do."""
    limit = (Limit(metric="latency_p99_ms", max=20.0),)
    found = searched(tmp_path, RATES | {OTHER: 25.0}, constraints=limit)
    executor = FakeExecutor(
        tmp_path, candidate=at(RATES), latency_ms=lambda config, call: 30.0 if config == SECOND else 10.0
    )
    claimed = confirmed(found, executor)
    assert claimed is not None and claimed.gain
    assert [one.config for one in claimed.finalists] == [BEST, SECOND, THIRD, FOURTH, FIFTH, OTHER, PLAIN]
    assert [one.config for one in claimed.finalists if one.broken] == [SECOND]
    assert after(found) == claimed
    earlier_claim.drop_if_challenged(found)
    assert store.confirmation(tmp_path) == claimed


def test_a_trial_before_one_that_took_such_a_place_reopens_the_claim(tmp_path: Path) -> None:
    kept = map(finalist, (THIRD, FOURTH, FIFTH, OTHER))
    replaced = claim(*(finalist(config, "p99") for config in (BEST, SECOND)), *kept)
    found = study(tmp_path, replaced, 15.0)
    assert after(found) == replaced
    spec = TrialSpec(id=9, workload=WORKLOAD, config=ANOTHER, folder=store.trial_folder(9))
    (tmp_path / spec.folder).mkdir()
    store.write_result(tmp_path, measured(spec, 28.0))
    assert after(found) == msgspec.structs.replace(replaced, finished=False)


def test_a_trial_behind_all_that_were_compared_is_no_news(tmp_path: Path) -> None:
    """A former version compared fewer: its claim stands."""
    few = claim(finalist(BEST), finalist(SECOND))
    assert after(study(tmp_path / "few", few)) == few
    other = claim(finalist(BEST), finalist(THIRD))
    assert after(study(tmp_path / "other", other)) == msgspec.structs.replace(other, finished=False)


def test_only_the_kinds_down_to_the_last_one_compared_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among thousands of trials all kinds would take minutes."""
    sought: list[int] = []
    kinds = posteriors.kinds

    def counted(*given: Any) -> Any:
        sought.append(given[3])
        return kinds(*given)

    monkeypatch.setattr(posteriors, "kinds", counted)
    after(study(tmp_path, claim(finalist(BEST), finalist(THIRD))))
    assert sought == [3]


def test_a_finalist_that_there_was_no_time_for_was_not_compared(tmp_path: Path) -> None:
    late = Finalist(trial=0, config=OTHER, ratio=None)
    found = study(tmp_path, claim(*map(finalist, (BEST, SECOND, THIRD)), late), 300.0)
    known = after(found)
    assert known is not None and not known.finished
    failed = claim(*map(finalist, (BEST, SECOND, THIRD)), msgspec.structs.replace(late, error="it broke"))
    store.write_confirmation(tmp_path, failed)
    assert after(found) == failed


def test_a_trial_that_breaks_a_limit_challenges_nothing(tmp_path: Path) -> None:
    found = study(tmp_path, COMPARED)
    spec = TrialSpec(id=9, workload=WORKLOAD, config=OTHER, folder=store.trial_folder(9))
    (tmp_path / spec.folder).mkdir()
    store.write_result(tmp_path, measured(spec, 99.0, feasible=False))
    assert after(found) == COMPARED


def test_a_simpler_variant_that_is_not_shown_to_differ_from_one_compared_is_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = claim(*map(finalist, (BEST, OTHER, THIRD, FOURTH, FIFTH)))
    found = study(tmp_path, compared, 111.0)
    rates = {config.key: math.log(rate) for config, rate in (RATES | {OTHER: 111.0}).items()}
    for deviation, stands in ((0.001, True), (0.1, False)):
        sure = independent(rates, deviation)
        monkeypatch.setattr(evidence, "posterior", lambda *_, sure=sure: sure)
        assert after(found) == msgspec.structs.replace(compared, finished=stands)
