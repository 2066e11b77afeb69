from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.cli import study_messages
from autotune.core.space_types import Budget, Limit
from autotune.space import goal_section
from autotune.study.confirm import claim
from autotune.study.search.outcome import Outcome, Reason
from autotune.study.search.transfer import EarlierStudy, WarmStart
from tests.study import fakes
from tests.study.fakes import machine

HW = machine()
SPACE = fakes.resolved(HW, fakes.SMALL, trials=1)


def said(folder: Path, *, finished: int = 0, first: WarmStart | None = None, **changes: object) -> list[str]:
    """The introduction of the space with these changes, less the lines of the model and the study."""
    space = msgspec.structs.replace(SPACE, **changes)
    return list(study_messages.introduction(space, HW, folder, finished, first or WarmStart(), None))[2:]


def ended(reason: Reason, trials: int = 3) -> Outcome:
    return Outcome(reason=reason, trials=trials, failed=0, elapsed_s=61.0)


# --------------------------------------------------------------------------------------------------- the introduction


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget(), "none: until nothing better is to be expected"),
        (Budget(trials=1), "1 trial"),
        (Budget(minutes=2.5), "2.5 minutes"),
        (Budget(trials=20, minutes=1), "20 trials or 1 minute"),
    ],
)
def test_the_budget(tmp_path: Path, budget: Budget, text: str) -> None:
    assert said(tmp_path, budget=budget) == [f"budget    {text}"]


def test_what_is_wanted_is_said_where_it_is_not_the_rate_alone(tmp_path: Path) -> None:
    limit = Limit(metric="latency_p99_ms", max=20.0)
    found = said(tmp_path, objective="peak_rss_bytes", constraints=(limit, *goal_section.ANSWERS))
    assert found[1:] == ["wanted    peak_rss_bytes at its best, latency_p99_ms at most 20"]
    assert said(tmp_path, constraints=goal_section.ANSWERS)[1:] == []


def test_what_a_new_study_tries_first_is_said_once(tmp_path: Path) -> None:
    config = fakes.plain(HW)
    some = EarlierStudy(study="my study", configs=(config, config))
    first = WarmStart(sources=(some, EarlierStudy(study="other", configs=())))
    assert said(tmp_path, first=first)[1:] == ["first     2 configurations from 'my study', none from other"]
    assert said(tmp_path, first=first, finished=4)[1:] == []


# ---------------------------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("reason", "skip", "text"),
    [
        ("trials", True, "all trials of the budget are done"),
        ("minutes", True, "the budget's minutes are used up"),
        ("minutes", False, "the search's part of the budget's minutes is used up"),
        ("exhausted", False, "every configuration of the space was tried"),
        ("settled", False, "nothing untried that is likely to run promises another 3 %"),
        ("stale", False, "the last 50 trials found nothing better"),
    ],
)
def test_why_a_search_ended(reason: Reason, skip: bool, text: str) -> None:
    assert list(study_messages.search_ended(ended(reason), Budget(), skip)) == [f"{text}, after 1 min 01 s"]


def test_a_search_that_settled_before_its_budget_was_used_says_what_is_left_and_what_that_is_needed_for() -> None:
    settled = "nothing untried that is likely to run promises another 3 %, after 1 min 01 s"
    needed = "; of the 8 min 59 s that are left the confirmation is predicted to need 4 min 10 s"
    for budget, predicted_s, left in (
        (Budget(minutes=10), 250.0, needed),
        (Budget(minutes=10), None, ""),
        (Budget(trials=100), 250.0, ""),
    ):
        (said,) = study_messages.search_ended(ended("settled"), budget, False, predicted_s)
        assert said == f"the search ended early: {settled}{left}"
    (said,) = study_messages.search_ended(ended("trials"), Budget(trials=3, minutes=10), False, 250.0)
    assert said == "all trials of the budget are done, after 1 min 01 s"


def test_minutes_that_were_too_few_for_a_trial_are_to_be_raised() -> None:
    _, more = study_messages.search_ended(ended("minutes", trials=0), Budget(minutes=1), True)
    assert more == "they were too few for a trial; raise --minutes"


@pytest.mark.parametrize(
    ("reason", "skip", "text"),
    [
        (
            "trials",
            True,
            "nothing is left to do; raise --trials (5 now) to search further, leave out --skip-confirmation to confirm",
        ),
        ("minutes", False, "nothing is left to do; raise --minutes (7.5 now) to search further"),
        ("exhausted", True, "nothing is left to do; leave out --skip-confirmation to confirm"),
        ("settled", False, "nothing is left to do"),
        ("exhausted", False, "nothing is left to do"),
    ],
)
def test_what_gives_a_run_more_to_do(reason: Reason, skip: bool, text: str) -> None:
    assert study_messages.nothing_measured(ended(reason), Budget(trials=5, minutes=7.5), None, skip) == text


def test_a_confirmation_that_had_no_time_says_why_nothing_was_measured() -> None:
    none = claim.none("the time was short")
    said = study_messages.nothing_measured(ended("minutes"), Budget(minutes=1), none, False)
    assert said == "the budget is used up: the time was short"
