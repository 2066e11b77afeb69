from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import SpaceError, StudyError
from autotune.core.results import Status
from autotune.core.space_types import Limit, Price
from autotune.report.compare.groups import compare
from autotune.report.text import study_reader
from autotune.space import goal_section
from autotune.study.storage import store
from tests.report.folders import FAST, SPACE
from tests.report.made import config, confirmation, result, winner
from tests.report.tuned import RESULTS, prices, study

# ------------------------------------------------------------------------------------------------------------ prices


def test_the_cost_is_that_of_the_rate_with_its_interval(tmp_path: Path) -> None:
    one = study(tmp_path / "a", RESULTS, confirmation(winner(FAST)))
    two = study(tmp_path / "b", RESULTS, kind="toy.small")
    (group,) = compare([two, one], prices(tmp_path, toy_large=0.36, toy_small=0.72)).groups
    assert [row.study for row in group.rows] == ["a", "b"]
    cost = group.rows[0].cost_per_million
    assert cost is not None and cost.low is not None and cost.high is not None
    assert (cost.estimate, cost.low, cost.high) == pytest.approx((2.5, 100 / 40.8, 100 / 39.2))
    assert group.rows[0].metrics["cost_per_million"] == pytest.approx(2.5)
    assert group.rows[1].cost_per_million is not None and group.rows[1].cost_per_million.estimate == pytest.approx(5.0)


def test_without_a_file_each_study_has_its_own_price(tmp_path: Path) -> None:
    priced = msgspec.structs.replace(SPACE, price=Price(per_hour=0.36, currency="USD"))
    one, two = study(tmp_path / "a", RESULTS, space=priced), study(tmp_path / "b", RESULTS, kind="toy.small")
    (group,) = compare([two, one]).groups
    assert [row.cost_per_million is not None for row in group.rows] == [True, False]
    assert "no price for toy.small; --prices FILE gives one" in group.rows[1].notes


def test_a_file_without_the_instance_type_gives_no_cost(tmp_path: Path) -> None:
    """Not even the study's own price, which is of another list."""
    priced = msgspec.structs.replace(SPACE, price=Price(per_hour=0.36, currency="USD"))
    one, two = study(tmp_path / "a", RESULTS, space=priced), study(tmp_path / "b", RESULTS, kind="toy.small")
    path = prices(tmp_path, toy_small=0.2)
    (group,) = compare([one, two], path).groups
    assert [(row.study, row.cost_per_million is None) for row in group.rows] == [("b", False), ("a", True)]
    assert f"no price for toy.large in {path}" in group.rows[1].notes
    assert "cost_per_million" not in group.rows[1].metrics


def test_prices_in_different_currencies_are_said(tmp_path: Path) -> None:
    spaces = [msgspec.structs.replace(SPACE, price=Price(per_hour=1.0, currency=name)) for name in ("USD", "EUR")]
    found = [study(tmp_path / space.price.currency, RESULTS, space=space) for space in spaces if space.price]
    (group,) = compare(found).groups
    assert "the prices are in different currencies (EUR and USD): give all in one with --prices FILE" in group.notes
    assert group.front is None


def test_a_file_that_is_not_one_of_prices_is_refused(tmp_path: Path) -> None:
    studies = [study(tmp_path / name, RESULTS) for name in "ab"]
    with pytest.raises(SpaceError, match="there is no file"):
        compare(studies, tmp_path / "nothing.yaml")


# ----------------------------------------------------------------------------------------------- which are compared


def test_fewer_than_two_studies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="two studies or more; got a; name another, or use show"):
        compare([study(tmp_path / "a", RESULTS)])


def test_a_study_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    one = study(tmp_path / "a", RESULTS)
    with pytest.raises(StudyError, match="named twice"):
        compare([one, study_reader.read(tmp_path / "b" / ".." / "a") if (tmp_path / "b").mkdir() is None else one])


def test_studies_of_other_work_or_goals_are_groups_of_their_own(tmp_path: Path) -> None:
    other = msgspec.structs.replace(SPACE.workload, model="torchvision:resnet50")
    spaces = {
        "plain": SPACE,
        "model": msgspec.structs.replace(SPACE, workload=other),
        "objective": msgspec.structs.replace(SPACE, objective="peak_rss_bytes"),
        "limits": msgspec.structs.replace(SPACE, constraints=(Limit(metric="setup_s", max=9.0),)),
    }
    found = compare([study(tmp_path / name, RESULTS, space=space) for name, space in spaces.items()])
    assert [[row.study for row in group.rows] for group in found.groups] == [[name] for name in spaces]
    assert not any(group.crossings for group in found.groups)


def test_neither_seed_nor_price_nor_our_own_limit_is_part_of_the_question(tmp_path: Path) -> None:
    seeded = msgspec.structs.replace(SPACE.workload, seed=7)
    spaces = (
        SPACE,
        msgspec.structs.replace(SPACE, workload=seeded),
        msgspec.structs.replace(SPACE, price=Price(per_hour=1.0)),
        msgspec.structs.replace(SPACE, constraints=goal_section.ANSWERS),
    )
    found = compare([study(tmp_path / str(place), RESULTS, space=space) for place, space in enumerate(spaces)])
    assert len(found.groups) == 1


def test_two_studies_of_one_machine_compare_and_it_is_said(tmp_path: Path) -> None:
    (group,) = compare([study(tmp_path / name, RESULTS) for name in "ab"]).groups
    assert group.notes == ("a and b ran on the same type of machine, at different times",)
    assert [one.remark for one in group.crossings] == ["the best there, too"] * 2


def test_studies_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    (group,) = compare([study(tmp_path / name / "s", RESULTS) for name in "ab"]).groups
    assert {row.study for row in group.rows} == {str(tmp_path.resolve() / name / "s") for name in "ab"}


def test_a_name_is_shown_without_what_cannot_be_printed(tmp_path: Path) -> None:
    names = ["a \x1b[31m 'b' \"c\"", "d\udcff"]
    (group,) = compare([study(tmp_path / name, RESULTS) for name in names]).groups
    assert {row.study for row in group.rows} == {"a ?[31m 'b' \"c\"", "d?"}
    store.encode(group)


def test_a_trial_that_ends_while_it_is_read_changes_nothing_else(tmp_path: Path) -> None:
    """A folder may lose its result (measured again) between two looks."""
    one = study(tmp_path / "a", [*RESULTS, result(2, config(batch_size=2), rates=(1,), status=Status.REJECTED)])
    shutil.rmtree(tmp_path / "a" / "trials")
    (group,) = compare([one, study(tmp_path / "b", RESULTS)]).groups
    assert {row.trials for row in group.rows} == {3, 2}
