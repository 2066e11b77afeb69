from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.study.model.points import Parameters
from autotune.study.search import failure_model
from autotune.study.search.failure_model import CERTAINTY, FailureModel

POINTS = st.fixed_dictionaries(
    {
        "backend": st.sampled_from(["torch", "openvino"]),
        "allocator": st.sampled_from(["system", "tcmalloc"]),
        "batch": st.sampled_from([1, 2]),
    }
)


def point(backend: str, allocator: str, batch: int = 1) -> Parameters:
    return {"backend": backend, "allocator": allocator, "batch": batch}


def works(found: FailureModel, other: Parameters) -> float:
    return float(found.works([other])[0])


def test_a_pair_is_pinned_down_as_soon_as_each_of_it_works_with_others() -> None:
    worked = [point("torch", "tcmalloc"), point("openvino", "system")]
    found = FailureModel([point("openvino", "tcmalloc")], worked)
    assert works(found, point("openvino", "tcmalloc", 2)) < 0.2
    assert works(found, point("openvino", "system", 2)) == works(found, point("torch", "tcmalloc", 2)) == 1.0


def test_a_setting_that_never_worked_is_suspected_more_with_each_failure() -> None:
    worked = [point("torch", "system"), point("torch", "tcmalloc", 2)]
    once = FailureModel([point("openvino", "system")], worked)
    twice = FailureModel([point("openvino", "system"), point("openvino", "tcmalloc", 2)], worked)
    other = point("openvino", "tcmalloc", 1)
    assert works(twice, other) < works(once, other) < 1.0
    assert works(twice, point("torch", "system", 2)) == 1.0


def test_what_explains_several_failures_has_their_blame() -> None:
    worked = [point("torch", "tcmalloc"), point("openvino", "system")]
    once = FailureModel([point("openvino", "tcmalloc", 2)], worked)
    twice = FailureModel([point("openvino", "tcmalloc", 2), point("openvino", "tcmalloc", 3)], worked)
    other = point("openvino", "tcmalloc", 4)
    assert works(twice, other) < works(once, other) ** 2


def test_where_all_pairs_were_seen_to_work_three_settings_are_blamed() -> None:
    worked = [point("torch", "tcmalloc", 1), point("openvino", "system", 1), point("openvino", "tcmalloc", 2)]
    failed = {**point("openvino", "tcmalloc", 1), "extra": "a"}
    found = FailureModel([failed], [{**one, "extra": extra} for one in worked for extra in "ab"])
    assert works(found, {**failed, "extra": "b"}) < 0.9
    assert works(found, {**point("torch", "tcmalloc", 1), "extra": "a"}) == 1.0


def test_of_too_many_suspects_those_of_the_clearest_failures_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_model, "MOST", 5)
    unclear: Parameters = {f"setting {number}": "new" for number in range(9)}
    worked = [point("torch", "tcmalloc"), point("openvino", "system")]
    found = FailureModel([unclear, point("openvino", "tcmalloc")], worked)
    assert works(found, point("openvino", "tcmalloc", 2)) < 0.2
    assert works(found, unclear) == 1.0


def test_what_itself_was_seen_to_work_is_not_blamed() -> None:
    assert works(FailureModel([point("torch", "system")], [point("torch", "system")]), point("torch", "system")) == 1.0


@given(st.lists(POINTS, max_size=6), st.lists(POINTS, max_size=6), POINTS)
def test_a_chance_stays_in_bounds_and_what_worked_is_not_blamed(
    failed: list[Parameters], worked: list[Parameters], other: Parameters
) -> None:
    chance = works(FailureModel(failed, worked), other)
    assert (1 - CERTAINTY) ** max(len(failed), 1) <= chance + 1e-9 and chance <= 1.0
    assert works(FailureModel(failed, [*worked, other]), other) == 1.0
