from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.space_types import Limit
from tests.fake_executor import FakeExecutor
from tests.study.confirm.confirming import (
    FIRST,
    PLAIN,
    SECOND,
    by_trial,
    config,
    confirmed,
)
from tests.study.fakes import searched


@pytest.mark.parametrize(("peak", "together"), [(2**30, True), (5 * 2**30, False), (None, True)])
def test_what_does_not_fit_into_memory_at_once_is_measured_one_by_one(
    tmp_path: Path, peak: int | None, together: bool
) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, peak_rss_bytes=dict.fromkeys((FIRST,), peak))
    executor = FakeExecutor(tmp_path)
    confirmed(study, executor)
    assert executor.runs[0].together is together  # three of them in 16 GiB; an unknown one counts as the largest


def test_where_the_time_to_set_up_is_wanted_each_is_started_alone(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, setup_s={PLAIN: 2.0, FIRST: 1.0})
    study = dataclasses.replace(study, space=msgspec.structs.replace(study.space, objective="setup_s"))
    executor = FakeExecutor(tmp_path)
    confirmed(study, executor)
    assert not any(spec.together for spec in executor.runs)


# --------------------------------------------------------------------------------------------------------------- limits


P99 = (Limit(metric="latency_p99_ms", max=20.0),)


def late(configs: dict[Config, float], others_ms: float = 10.0) -> Callable[[Config, int], float]:
    """One call in ten of these takes so long, which p50 does not show."""
    return lambda config, call: configs.get(config, others_ms) if call == 9 else others_ms


def test_a_limited_percentile_is_judged_by_the_calls_that_it_wants(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    executor = FakeExecutor(tmp_path, latency_ms=late({}))
    found = confirmed(study, executor)
    assert found is not None and found.winner is not None and found.winner.config == FIRST
    assert found.winner.metrics["latency_p99_ms"] == 10.0
    (alone,) = (spec for spec in executor.runs if "/alone-trial-1-" in spec.folder)
    assert list(alone.configs) == ["trial-1"]
    assert f"{alone.folder}/trial-1" in found.winner.folders


def test_without_a_limit_on_a_percentile_nothing_is_measured_alone(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0})
    executor = FakeExecutor(tmp_path, latency_ms=late({}))
    confirmed(study, executor)
    assert not any("/alone-" in spec.folder for spec in executor.runs)


def test_finalists_that_break_a_limit_make_room_for_the_next_trials(tmp_path: Path) -> None:
    fast = {config(8, "openvino", allocator=name): rate for name, rate in (("system", 40.0), ("tcmalloc", 39.0))}
    fast[config(8, "openvino")] = 40.0
    third = config(4, "openvino", allocator="jemalloc")
    study = searched(tmp_path, {PLAIN: 10.2, **fast, third: 38.0, SECOND: 20.0}, constraints=P99)
    executor = FakeExecutor(tmp_path, latency_ms=late(dict.fromkeys([*fast, third], 30.0)))
    found = confirmed(study, executor)
    assert found is not None and found.winner is not None
    assert (found.winner.config, found.gain) == (SECOND, True)
    broken = {one.config for one in found.finalists if one.broken is not None}
    assert broken == {*fast, third}
    assert all("allowed at most 20" in str(one.broken) for one in found.finalists if one.config in broken)


def test_where_all_break_a_limit_nothing_is_claimed(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    found = confirmed(study, FakeExecutor(tmp_path, latency_ms=late({}, 30.0)))
    assert found is not None and (found.confirmed, found.gain) == (False, False)
    assert found.reason is not None and "no finalist kept the limits" in found.reason


def test_a_measurement_alone_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    before = confirmed(study, FakeExecutor(tmp_path, latency_ms=late({})))
    (tmp_path / "confirmation.json").unlink()
    executor = FakeExecutor(tmp_path, latency_ms=late({}))
    found = confirmed(study, executor)
    assert before is not None and found is not None and found.winner == before.winner
    assert not any("/alone-trial-1-" in spec.folder for spec in executor.runs)


def test_a_confirmation_for_memory_outlives_a_candidate_that_fails_after_some_rounds(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, peak_rss_bytes={PLAIN: 2**28, FIRST: 2**27})
    wanted = msgspec.structs.replace(study.space, objective="peak_rss_bytes")
    study = dataclasses.replace(study, space=wanted)
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 1 if name == "trial-1" and spec.number == 2 else None)
    found = confirmed(study, executor)
    assert found is not None and found.confirmed and found.winner is not None
    assert (found.winner.config, found.gain) == (PLAIN, False)  # all candidates need the same memory here
    first = by_trial(found)[1]
    assert first.error is None and first.ratio is not None
    assert (first.ratio.estimate, first.ratio.low, first.ratio.high) == pytest.approx((1.0, 1.0, 1.0))


def test_the_time_to_set_up_is_the_trials_where_all_were_started_together(tmp_path: Path) -> None:
    limit = (Limit(metric="setup_s", max=0.8),)
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, constraints=limit, setup_s={PLAIN: 0.5, FIRST: 0.7})
    found = confirmed(study, FakeExecutor(tmp_path))  # in which every start takes a second
    assert found is not None and found.winner is not None and found.winner.config == FIRST
    assert (found.winner.setup_s, found.winner.metrics["setup_s"]) == (0.7, 0.7)


def test_one_that_fails_alone_is_not_measured_for_ever(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0, SECOND: 20.0}, constraints=P99)
    executor = FakeExecutor(
        tmp_path, latency_ms=late({}), fails=lambda name, spec: 0 if "/alone-" in spec.folder else None
    )
    found = confirmed(study, executor)
    assert found is not None and found.confirmed and found.winner is not None and found.winner.config == FIRST
    assert sum("/alone-trial-1-" in spec.folder for spec in executor.runs) == 1
