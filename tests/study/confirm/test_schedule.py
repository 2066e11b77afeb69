from __future__ import annotations

import math
from pathlib import Path

import pytest

from autotune.core.specs import InterleavedSpec
from tests.fake_executor import FakeExecutor
from tests.study.confirm.comparing import CONFIRM, PAIR, run, toy, until


@pytest.mark.parametrize("seconds", [30, 42, 54])
def test_the_time_is_spread_over_the_runs_that_a_claim_needs(tmp_path: Path, seconds: float) -> None:
    executor = FakeExecutor(tmp_path, noise=0)
    begin = executor.clock.now
    runs = run(toy(tmp_path, configs=PAIR), executor, until(20), seconds)
    assert len(runs) == CONFIRM.sure_runs
    assert seconds - 4 <= executor.clock.now - begin <= seconds + 6  # a round of both takes 1 s, a start 2 s
    rounds = [spec.rounds for spec in executor.runs][1:]
    assert max(rounds) - min(rounds) <= 1


def test_with_ample_time_runs_are_many_rather_than_long(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)
    runs = run(toy(tmp_path, configs=PAIR), executor, lambda found: set(PAIR))
    assert len(runs) == CONFIRM.most_runs
    assert executor.runs[0].rounds == CONFIRM.first_rounds
    assert max(spec.rounds for spec in executor.runs) <= CONFIRM.most_rounds


def test_runs_that_differ_have_few_rounds(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        return 10 * math.exp(0.3 * (spec.number % 3) * (name == "a"))

    executor = FakeExecutor(tmp_path, candidate=behave)
    run(toy(tmp_path, configs=PAIR), executor, until(8))
    assert [spec.rounds for spec in executor.runs][2:] == [CONFIRM.least_rounds] * 6


def test_a_claim_may_take_longer_than_its_share_but_not_than_the_limit(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path)
    runs = run(toy(tmp_path, configs=PAIR), executor, until(20), seconds=0)
    assert [one.spec.rounds for one in runs] == [CONFIRM.first_rounds] + [CONFIRM.least_rounds] * 5
    short = FakeExecutor(tmp_path)
    begin = short.clock.now
    runs = run(toy(tmp_path, name="short", configs=PAIR), short, until(20), seconds=0, limit_s=12)
    assert len(runs) == 3  # 4 s, 4 s, and what 4 s are enough for
    assert [spec.limit_s for spec in short.runs] == [12, 8, 4]
    assert short.clock.now - begin <= 13


def test_without_any_time_nothing_is_measured(tmp_path: Path) -> None:
    assert run(toy(tmp_path), FakeExecutor(tmp_path), until(20), seconds=0, limit_s=0) == []
